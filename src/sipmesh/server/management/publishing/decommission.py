"""What follows a new version: blocked organisations go into the audit log, and removed servers are revoked.

A removed server that does not get the new version keeps the old one. Other servers refuse it then because of the CRL.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.ledger.refusals import UnrecordedRevocationError
from sipmesh.server.management.admission import withdraw_left
from sipmesh.server.management.revoking import lost_certificates
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.enrolment.end_enrolment import end_enrolment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded

CA = "ca"
"""The folder of the enterprise CA, beside the topology."""


class Tell(Protocol):
    """Reports what could not be done, for example to a log."""

    def __call__(self, event: str, *, servers: str, why: str) -> object:
        """Report one event."""


def follow_up(
    folder: Path, management_db: ManagementDb, before: Loaded, now: Loaded, who: str, at: datetime, tell: Tell
) -> None:
    """Record what *now* blocks, and revoke the servers that *before* has and *now* has not.

    A server that is no management server any more gets no file of the CA from now on. The one-time tokens and the ACME accounts
    of a removed server end: another server may get its name.
    If the CA is on another machine, *tell* reports that these servers are not revoked.
    """
    audit = management_db.audit
    blocked = set(now.topology.federation.blocked) - set(before.topology.federation.blocked)
    if blocked:
        audit.append(who, AuditAct.BLOCK, {"blocked": sorted(blocked)}, at=at)
    gone = servers_of(before) - servers_of(now)
    try:
        withdraw_left(folder / CA, audit, now, who, at)
    except OperatorError as wrong:
        tell("admissions of management servers are not withdrawn", servers=", ".join(sorted(gone)), why=str(wrong))
    if not gone:
        return
    names = ", ".join(sorted(gone))
    _end_enrolments(management_db, gone, who, at, tell)
    try:
        generations = CaGenerations(folder / CA)
        lost = lost_certificates(generations, gone, audit, at)
        serials = generations.revoke_servers(gone, Reason.CESSATION_OF_OPERATION, at, lost)
    except UnrecordedRevocationError as wrong:
        tell("servers were removed from the topology and revoked", servers=names, why=str(wrong))
        serials = wrong.servers
    except OperatorError as wrong:
        event = "servers were removed from the topology, but not all of their certificates may be revoked"
        tell(event, servers=names, why=str(wrong))
        return
    for serial, server in serials.items():
        about = {"server": server, "serial": f"{serial:x}", "because": "the server was removed from the topology"}
        audit.append(who, AuditAct.REVOKE, about, at=at)


def _end_enrolments(management_db: ManagementDb, gone: Iterable[str], who: str, at: datetime, tell: Tell) -> None:
    """End the one-time tokens and the ACME accounts of the servers that are *gone*."""

    def note(act: AuditAct, /, **about: object) -> None:
        management_db.audit.append(who, act, about, at=at)

    try:
        for server in gone:
            end_enrolment(management_db, server, at, note)
    except OperatorError as wrong:
        tell("tokens and accounts of removed servers do not end", servers=", ".join(sorted(gone)), why=str(wrong))


def servers_of(loaded: Loaded) -> frozenset[str]:
    """Return the names of all servers of a topology."""
    return frozenset(loaded.topology.server_names)
