"""Enrolment by Kerberos: each computer of the realm is one server, which may be enrolled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument

_PLACE = ("console", "enrolment", "kerberos")


def machines_are_servers(document: CheckedDocument) -> None:
    """Each account is of the realm, and of one server that is not management; EST is served."""
    console, report = document.topology.console, document.report
    enrolment = console.enrolment if console is not None else None
    realm = enrolment.kerberos if enrolment is not None else None
    if enrolment is None or realm is None:
        return
    if EnrolmentProtocol.EST not in enrolment.protocols:
        report.add(_PLACE, "needs EST", "add `est` to `protocols`, or remove `kerberos`")
    roles = {server.name: pool.role for pool in document.topology.pools for server in pool.servers}
    first: dict[str, int] = {}
    for n, one in enumerate(realm.machines):
        loc = (*_PLACE, "machines", n)
        if not one.principal.endswith(f"@{realm.realm}"):
            report.add((*loc, "principal"), f"{one.principal} is not of {realm.realm}", "name an account of the realm")
        if one.server not in roles:
            remedy = "add the server to a pool, or remove this machine"
            report.add((*loc, "server"), f"{one.server} is no server of the topology", remedy)
        elif roles[one.server] is Role.MANAGEMENT:
            remedy = "remove it: management renews its certificate itself"
            report.add((*loc, "server"), f"{one.server} is a management server, which is not enrolled", remedy)
        for value in (one.principal, one.server):
            if first.setdefault(value, n) != n:
                reason = f"has the account or the server of {document.place((*_PLACE, 'machines', first[value]))}"
                report.add(loc, reason, "give each server one account")
