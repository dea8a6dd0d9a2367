"""What a new version means beside itself: who was blocked is told in the audit log, who has left is revoked.

A server that was kept from the new version goes on by the old one; those that it knows stop trusting it by the list.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.storage.audit import Audit
    from sipmesh.topology.document.load import Loaded

CA = "ca"
"""The folder of the enterprise CA, beside the topology."""


class Tell(Protocol):
    """Hears of what could not be done."""

    def __call__(self, event: str, *, servers: str, why: str) -> object:
        """Take one line, as a log does."""


def follow_up(folder: Path, audit: Audit, before: Loaded, now: Loaded, who: str, at: datetime, tell: Tell) -> None:
    """AuditAct on what *now* leaves out of *before*; a CA that is on another machine is told of with *tell*."""
    blocked = set(now.topology.federation.blocked) - set(before.topology.federation.blocked)
    if blocked:
        audit.append(who, AuditAct.BLOCK, {"blocked": sorted(blocked)}, at=at)
    gone = servers_of(before) - servers_of(now)
    if not gone:
        return
    try:
        serials = CaGenerations(folder / CA).revoke_servers(gone, Reason.CESSATION_OF_OPERATION, at)
    except OperatorError as wrong:
        told = ", ".join(sorted(gone))
        tell(
            "servers were removed from the topology, but their certificates are not revoked",
            servers=told,
            why=str(wrong),
        )
        return
    for serial, server in serials.items():
        about = {"server": server, "serial": f"{serial:x}", "because": "the server was removed from the topology"}
        audit.append(who, AuditAct.REVOKE, about, at=at)


def servers_of(loaded: Loaded) -> frozenset[str]:
    """Every server of a topology by name."""
    return frozenset(server.name for pool in loaded.topology.pools for server in pool.servers)
