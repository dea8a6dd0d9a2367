"""Applications, partners, stores and our CA: they report nothing themselves, so that the servers that use them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.server.management.server_faults import Fault
from sipmesh.server.management.sightings import strongest, tell_sightings
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.storage.location_service.valkey.servers.server_watch import COPY_KEY, OTHER_KEY
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipmesh.server.management.sightings import Sighting
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.topology.view import ServerView

MESSAGES = "stored messages"
CALL_RECORDS = "records of calls"
MANAGEMENT_DATABASE = "management database"


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """An application, a partner, a store or our CA, with its faults; none if no server has seen one."""

    name: str
    kind: PeerKind
    faults: Sequence[Fault]


def registrations_of(pool: str) -> str:
    """Return the name of the store in which a pool of front ends keeps its registrations."""
    return f"registrations of {pool}"


def peers_in(view: ServerView) -> Iterator[tuple[str, PeerKind]]:
    """Give every application server, partner and store of a topology, and its CA."""
    for pool in view.pools.values():
        if pool.role is Role.APPLICATION:
            yield from ((name, PeerKind.APPLICATION) for name in pool.servers)
    yield from ((partner.name, PeerKind.PARTNER) for partner in view.partners)
    topology = view.loaded.topology
    yield topology.organisation, PeerKind.CA
    homes = [pool.name for pool in view.pools.values() if pool.role is Role.FRONT_END]
    yield from ((registrations_of(pool), PeerKind.STORE) for pool in homes)
    if homes:
        yield MESSAGES, PeerKind.STORE
    if topology.call_records is not None:
        yield CALL_RECORDS, PeerKind.STORE
    if topology.storage.management is not None:
        yield MANAGEMENT_DATABASE, PeerKind.STORE


def peer_statuses(
    peers: Iterable[tuple[str, PeerKind]],
    seen: Mapping[str, Sequence[Sighting]],
    stores: Mapping[str, Sequence[Fault]],
) -> Sequence[PeerStatus]:
    """Return each of the *peers* with what servers have *seen* of it, and the faults of *stores*, by their names."""
    return [
        PeerStatus(name, kind, stores.get(name, ()) if kind is PeerKind.STORE else list(_faults(name, kind, seen)))
        for name, kind in peers
    ]


def _faults(name: str, kind: PeerKind, seen: Mapping[str, Sequence[Sighting]]) -> Iterator[Fault]:
    for sightings in strongest(seen.get(name, ())).values():
        what = tell_sightings({one.by for one in sightings}, sightings)
        yield Fault.of(name, kind, what, sightings)


def store_faults(reports: Iterable[tuple[str, str, ServerStatus]]) -> dict[str, list[Fault]]:
    """Return the faults of stores, by their names, each once, as servers report them; a report has its server and its pool."""
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for server, pool, status in reports:
        for name, why in ((registrations_of(pool), status.bindings_fault), (MESSAGES, status.messages_fault)):
            if why:
                keyed = pool if OTHER_KEY in why else ""
                found.setdefault(name, {}).setdefault((why, keyed), []).append(server)
    return {name: [_unusable(*seen, servers) for seen, servers in whys.items()] for name, whys in found.items()}


def _unusable(why: str, pool: str, servers: Sequence[str]) -> Fault:
    """Return the fault of a store. What servers say is never the remedy: an attacker may hold one of them.

    *pool* is set if its servers have different keys.
    """
    by = tuple(sorted(servers))
    reason, remedy = (why.partition("; ")[0], COPY_KEY.format(pool)) if pool else (why, START)
    what = f"cannot be used by {tell_list(by)}: {reason}"
    return Fault(what, f"{remedy}; each server uses it again by itself", Cause.STORE, by)


def own_store_fault(why: str, by: tuple[str, ...], then: str) -> Fault:
    """Return the fault of a store that *by*, this management server, cannot use; *then* says what follows its repair.

    *why* may end with a remedy, after a semicolon. Without one, the store does not answer.
    """
    reason, _, known = why.partition("; ")
    return Fault(reason, f"{known or START}; {then}", Cause.STORE, by)


START: Final = "start the store, or repair the way to it"
