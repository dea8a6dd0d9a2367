"""A front end has users and bindings; an edge, which faces the Internet, has neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sipmesh.errors import LocalError, OperatorError
from sipmesh.server.in_force.home_pools import KnownUsers
from sipmesh.server.proxy.login.user_stores import NoLocations, NoUsers, open_locations, open_users
from sipmesh.storage.location_service.locations import NOTHING_YET, Locations, StoredRows, Write
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.entries import PoolView
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.role import Role
from support.network import EDGE, FE1, Network
from support.running import on_loop

STORES = ("people.db", "phones.db")


def seen_from(network: Network, server: str) -> ServerView:
    """Return the view of *server*, with users and bindings in other files."""
    organisation = network.of(server)
    organisation.document["storage"] = {"users": "sqlite:///state/people.db", "bindings": "state/phones.db"}
    organisation.write()
    return view(organisation.load(), server)


def opened(seen: ServerView) -> tuple[KnownUsers, Locations]:
    """Both stores of a server that has no loop."""
    return open_users(seen), open_locations(seen, lambda call: call(), bytes(32))


def test_front_end_opens_both_stores(home: Network) -> None:
    users, locations = opened(view(home.of(FE1).load(), FE1))
    assert isinstance(users, Users)
    assert isinstance(locations, SqliteLocations)
    assert users.verifier("sip:alice@example.test") is not None
    users.close()
    locations.close()


def test_edge_opens_neither_and_leaves_no_file(federation: Network) -> None:
    seen = seen_from(federation, EDGE)
    users, locations = opened(seen)
    assert users.verifier("sip:alice@example.test") is None
    assert users.unknown(frozenset({"sip:alice@example.test"})) == {"sip:alice@example.test"}
    assert locations.versions[locations.slot("sip:alice@example.test")] == NOTHING_YET
    assert not [name for name in STORES if (seen.loaded.folder / "state" / name).exists()]


def test_stores_that_cannot_be_used_stop_a_front_end_only(federation: Network) -> None:
    seen = seen_from(federation, FE1)
    (seen.loaded.folder / "state").mkdir(exist_ok=True)
    opens: tuple[Callable[[ServerView], object], ...] = (open_users, lambda one: opened(one)[1])
    for name, open_it in zip(STORES, opens, strict=True):
        (seen.loaded.folder / "state" / name).mkdir()
        with pytest.raises(OperatorError):
            open_it(seen)
        (seen.loaded.folder / "state" / name).rmdir()
    assert isinstance(opened(seen_from(federation, EDGE))[0], NoUsers)


@on_loop
async def test_running_edge_opens_no_store(federation: Network) -> None:
    federation.starts = (EDGE,)
    async with federation:
        node = federation.nodes[EDGE]
        node.sweep.tick()
        assert await node.user_updates.refresh() == 0
        assert not bindings_of(federation, EDGE).exists()
        federation.start(FE1)
        assert bindings_of(federation, FE1).exists()


def test_empty_stores_find_nothing_and_refuse_a_registration() -> None:
    nowhere = NoLocations()
    with pytest.raises(LocalError):
        nowhere.write(Write("sip:alice@example.test", (), (), lambda _: None))
    found: list[StoredRows | None] = []
    nowhere.find("sip:alice@example.test", found.append)
    assert found == [StoredRows((), NOTHING_YET)]
    assert NoUsers().refresh() == frozenset()


def bindings_of(network: Network, server: str) -> Path:
    """Return the file of the pool's bindings."""
    return view(network.of(server).load(), server).bindings_file


def test_front_end_of_a_managed_network_has_replicated_users_and_no_database(federation: Network) -> None:
    seen = seen_from(federation, FE1)
    manager = PoolView("mgmt.example.test", Role.MANAGEMENT, ("mgmt.example.test",), None, frozenset())
    seen.pools = {**seen.pools, manager.name: manager}
    users, locations = opened(seen)
    assert isinstance(users, ReplicatedUsers)
    assert users.verifier("sip:alice@example.test") is None
    assert not (seen.loaded.folder / "state" / "people.db").exists()
    locations.close()
