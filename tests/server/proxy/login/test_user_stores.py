"""A front end has users and bindings; an edge, which faces the Internet, has neither."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sipmesh.errors import LocalError, OperatorError
from sipmesh.routing.registrar.binding import Changes
from sipmesh.server.proxy.login.user_stores import NoLocations, NoUsers, open_stores
from sipmesh.storage.bindings import BindingStore
from sipmesh.storage.replicated_users import ReplicatedUsers
from sipmesh.storage.users import Users
from sipmesh.topology.view import PoolView, ServerView, view
from sipmesh.trust.role import Role
from support.network import EDGE, FE1, Network
from support.running import on_loop


def seen_from(network: Network, server: str) -> ServerView:
    """Return the view of *server*, with users and bindings in another folder."""
    organisation = network.of(server)
    organisation.document["storage"] = {"users": "sqlite:///away/users.db", "bindings": "away/bindings.db"}
    organisation.write()
    return view(organisation.load(), server)


def test_front_end_opens_both_stores(home: Network) -> None:
    users, locations = open_stores(view(home.of(FE1).load(), FE1))
    assert isinstance(users, Users)
    assert isinstance(locations, BindingStore)
    assert users.verifier("sip:alice@example.test") is not None
    users.close()
    locations.close()


def test_edge_opens_neither_and_leaves_no_file(federation: Network) -> None:
    seen = seen_from(federation, EDGE)
    users, locations = open_stores(seen)
    assert users.verifier("sip:alice@example.test") is None
    assert locations.of("sip:alice@example.test", time.time()) == []
    assert not (seen.loaded.folder / "away").exists()


def test_stores_that_cannot_be_used_stop_a_front_end_only(federation: Network) -> None:
    seen = seen_from(federation, FE1)
    (seen.loaded.folder / "away").mkdir()
    (seen.loaded.folder / "away" / "users.db").mkdir()
    with pytest.raises(OperatorError):
        open_stores(seen)
    assert isinstance(open_stores(seen_from(federation, EDGE))[0], NoUsers)


@on_loop
async def test_running_edge_opens_no_store(federation: Network) -> None:
    federation.starts = (EDGE,)
    async with federation:
        node = federation.nodes[EDGE]
        node.dispatch.tick()
        assert await node.user_updates.refresh() == 0
        assert not bindings_of(federation, EDGE).exists()
        federation.start(FE1)
        assert bindings_of(federation, FE1).exists()


def test_empty_stores_find_nothing_and_refuse_a_registration() -> None:
    nowhere = NoLocations()
    with pytest.raises(LocalError):
        nowhere.apply(Changes())
    nowhere.forget([])
    assert nowhere.begin("edge1", 1) == nowhere.expire(0.0) == 0
    assert not nowhere.drop("edge1", 1, 1)
    assert not nowhere.of("sip:alice@example.test", 0.0)
    assert NoUsers().refresh() == frozenset()


def bindings_of(network: Network, server: str) -> Path:
    """Return the file of the pool's bindings."""
    return network.of(server).load().bindings_file


def test_front_end_of_a_managed_network_has_replicated_users_and_no_database(federation: Network) -> None:
    seen = seen_from(federation, FE1)
    manager = PoolView("mgmt.example.test", Role.MANAGEMENT, ("mgmt.example.test",), None, frozenset())
    seen.pools = {**seen.pools, manager.name: manager}
    users, locations = open_stores(seen)
    assert isinstance(users, ReplicatedUsers)
    assert users.verifier("sip:alice@example.test") is None
    assert not (seen.loaded.folder / "away" / "users.db").exists()
    locations.close()
