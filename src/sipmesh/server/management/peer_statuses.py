"""Applications and partners: what the servers that open links to them have reported, each fault once, at its peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.server.management.server_faults import Fault
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sipmesh.server.management.server_faults import Known
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """An application or a partner with its faults; none if no server has seen one."""

    name: str
    kind: PeerKind
    faults: Sequence[Fault]


def peers_in(view: ServerView) -> Iterator[tuple[str, PeerKind]]:
    """Give every application server and every partner of a topology."""
    for pool in view.pools.values():
        if pool.role is Role.APPLICATION:
            yield from ((name, PeerKind.APPLICATION) for name in pool.servers)
    yield from ((partner.name, PeerKind.PARTNER) for partner in view.partners)


def peer_statuses(
    peers: Iterable[tuple[str, PeerKind]], servers: Iterable[Known], at: datetime
) -> Sequence[PeerStatus]:
    """Return each of the *peers* with what the *servers* say of it; reports of servers that are cut off do not count."""
    seen: dict[str, dict[tuple[str, str], list[str]]] = {}
    for known in servers:
        if known.report is None or known.is_silent(at):
            continue
        status = known.report.status
        whys = dict.fromkeys(status.unanswered, ("it does not answer requests", ""))
        whys |= {fault.peer: (fault.why, fault.code) for fault in status.peer_faults}
        for peer, why in whys.items():
            seen.setdefault(peer, {}).setdefault(why, []).append(known.server)
    return [PeerStatus(name, kind, list(_faults(name, kind, seen.get(name, {})))) for name, kind in peers]


def _faults(name: str, kind: PeerKind, whys: dict[tuple[str, str], list[str]]) -> Iterator[Fault]:
    for (why, code), servers in whys.items():
        by = tell_list(sorted(servers))
        if kind is PeerKind.APPLICATION:
            remedy = f"start its program, and check that its server port is reachable from the machine of {servers[0]}"
        else:
            remedy = f"ask the partner, or correct its entry; to try again: sipmesh partner probe {name}"
        yield Fault(f"no link to it works from {by}: {why}", remedy, code)
