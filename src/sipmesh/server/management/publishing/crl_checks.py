"""Which CRLs servers must be able to fetch after a publication, and what they have reported of them.

A check is a link from a server to a URL. Each server fetches for itself: what management can reach does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.management.publishing.link_checks import Check, Checked
from sipmesh.server.replication.server_status import text
from sipmesh.topology.document.names import is_url
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.server.management.replies import CrlsReply
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology

FETCHED_S: Final = 15.0
"""Seconds that servers have to fetch their CRLs, and to report."""


def crl_checks(loaded: Loaded, before: Loaded | None = None) -> list[Check]:
    """Give each front end and edge with each URL of a CRL that it needs; only those that *before* does not have."""
    return sorted(_needed(loaded) - (_needed(before) if before is not None else frozenset()))


def _needed(loaded: Loaded) -> frozenset[Check]:
    topology = loaded.topology
    return frozenset(
        Check(server.name, url)
        for pool in topology.pools
        if pool.role in {Role.FRONT_END, *BORDERS}
        for server in pool.servers
        for url in _urls(topology, pool.role)
    )


def _urls(topology: Topology, role: Role) -> Iterator[str]:
    """Give the URLs for a server of this *role*: edges and gateways alone judge partners."""
    for entry in (topology.authority, *(topology.federation.partners if role in BORDERS else ())):
        yield from filter(is_url, entry.crls)


def servers_of(checks: Sequence[Check]) -> list[str]:
    """Give the servers that have to fetch."""
    return list(dict.fromkeys(check.opener for check in checks))


def checked_crls(checks: Sequence[Check], replies: Sequence[CrlsReply]) -> list[Checked]:
    """Give the result of each check; a CRL that a server has not reported counts as failed."""
    reported = {reply.server: reply for reply in replies}
    return [Checked(check, *_told(check, reported.get(check.opener))) for check in checks]


def _told(check: Check, reply: CrlsReply | None) -> tuple[bool, str]:
    if reply is None or reply.fault:
        return False, reply.fault if reply is not None else "management has no result"
    crl = next((crl for crl in reply.crls if crl.url == text(check.target)), None)
    if crl is None:
        return False, "the server has not fetched it"
    owner = f" of {crl.owner}" if crl.owner else ""
    return not crl.fault, f"the CRL{owner} cannot be used: {crl.fault}" if crl.fault else f"the CRL{owner} can be used"
