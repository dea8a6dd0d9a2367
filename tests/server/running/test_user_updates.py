"""Changes of users come into force on one server: links whose login is no longer valid close."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.proxy.outside import Follower, Outside
from sipmesh.server.running.user_updates import UserUpdates
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import UserDocument
from support.network import FE1, POOL, POOL2, Network
from support.running import on_loop
from support.telling import Told

ALICE = "sip:alice@example.test"


@on_loop
async def test_changed_password_closes_the_link_of_that_user_only(home: Network, example: Organisation) -> None:
    async with home:
        alice, bob = await home.agent("alice", FE1), await home.agent("bob", FE1)
        updates = home.nodes[FE1].user_updates
        assert await updates.refresh() == 0
        users = Users(example.load().users_url)
        users.set_password("alice@example.test", "another")
        users.close()
        assert await updates.refresh() == 1
        await alice.gone()
        assert (await bob.options()).status == 200


@on_loop
async def test_server_with_a_database_takes_no_document(home: Network) -> None:
    """Its users are those of the database: management sends it none."""
    async with home:
        updates = home.nodes[FE1].user_updates
        assert (updates.number, updates.accept_document(UserDocument("example.test", "pool1.example.test", 1))) == (
            0,
            0,
        )


@on_loop
async def test_database_that_cannot_be_read_leaves_the_users_in_force(home: Network, example: Organisation) -> None:
    async with home:
        alice, updates = await home.agent("alice", FE1), home.nodes[FE1].user_updates
        file = example.folder / "users.db"
        home.nodes[FE1].users.close()
        file.rename(file.with_suffix(".away"))
        file.mkdir()
        assert await updates.refresh() == 0
        [line] = home.told[FE1].events("user database cannot be read: the known users stay in force")
        assert line["why"]
        assert (await alice.options()).status == 200


class Logins:
    """Links with a login, and events; *closed* are the users whose links had to be looked at, *changed* those of events."""

    def __init__(self) -> None:
        self.closed: list[frozenset[str]] = []
        self.changed: list[frozenset[str]] = []

    def users_changed(self, users: frozenset[str]) -> None:
        """Take note of the users."""
        self.changed.append(users)

    def close_changed(self, users: frozenset[str]) -> list[str]:
        """Take note of the users, and close one link."""
        self.closed.append(users)
        return ["a-link"]


class Managed(Follower):
    """The users of a managed server, whose documents come from management; *told* are those that its processes get."""

    def __init__(self) -> None:
        self.logins, self.told = Logins(), list[UserDocument]()
        outside = Outside()
        outside.follower = self
        users, logins, events = (
            ReplicatedUsers("example.test", POOL),
            cast("Any", self.logins),
            cast("Any", self.logins),
        )
        self.updates = UserUpdates(users, logins, events, outside, Told().log)

    def users_changed(self, document: UserDocument) -> None:
        """Take note of a document for the other processes."""
        self.told.append(document)


def document(number: int) -> UserDocument:
    """A document with alice, who is at home in our pool."""
    return UserDocument(
        "example.test", POOL, number, verifiers={ALICE: Verifier(ALICE, 1, {Algorithm.SHA_256: "a" * 64})}
    )


def test_document_of_management_is_in_force_and_sent_to_other_processes() -> None:
    one = Managed()
    assert one.updates.accept_document(document(1)) == 1
    assert one.updates.number == 1
    assert [told.number for told in one.told] == [1]
    assert ALICE in one.logins.changed[0]
    assert one.logins.closed == one.logins.changed


def test_document_that_changes_no_user_closes_nothing() -> None:
    one = Managed()
    assert one.updates.accept_document(UserDocument("example.test", POOL, 1)) == 0
    assert (one.logins.changed, one.logins.closed, len(one.told)) == ([], [], 1)


@on_loop
async def test_large_document_is_computed_by_a_thread_and_has_the_same_result() -> None:
    one = Managed()
    assert await one.updates.accept_large_document(document(1)) == 1
    assert (one.updates.number, len(one.told)) == (1, 1)
    assert ALICE in one.logins.changed[0]


@on_loop
async def test_server_with_a_database_takes_no_large_document_either(home: Network) -> None:
    async with home:
        assert await home.nodes[FE1].user_updates.accept_large_document(document(1)) == 0


def test_document_for_another_pool_changes_nothing() -> None:
    one = Managed()
    with pytest.raises(OperatorError):
        one.updates.accept_document(UserDocument("example.test", POOL2, 1))
    assert (one.updates.number, one.told) == (0, [])
