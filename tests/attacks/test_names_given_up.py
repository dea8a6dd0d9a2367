"""A user has another name, or is removed: what others have said about this user follows the person, and not the name.

The attacker is a later user of the name. The control is the person: after a rename, each rule counts as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from scenarios.test_call_rules import ALICE, BOB, called, comes
from server.proxy.events.test_notifier import BUSY, publish, subscribe
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching
from support.call_rules import refreshed, rules
from support.network import FE1, Network
from support.peer import Peer
from support.running import on_loop

RENAMED, REMOVED = "renamed", "removed"
ROBERT = "sip:robert@example.test"


def given_up(network: Network, how: str) -> None:
    """Let bob leave the name as a sync of a directory does it, or as an operator, and give it to another person."""
    users = Users(network.of("example.test").load().users_url)
    if how == RENAMED:
        links, at = DirectoryLinks(users), datetime.now(UTC)
        links.adopt(DirectoryEntry("id of bob", BOB), at)
        renamed = DirectoryEntry("id of bob", ROBERT)
        links.take([DirectoryStep(StepKind.RENAME, renamed, links.link_of(BOB))], at)
        users.set_password(ROBERT, "robert-secret")
        users.remove_alias(ROBERT, BOB)
    else:
        users.remove(BOB)
    users.add(BOB, "bob-secret")
    users.close()


async def phones(network: Network, how: str) -> tuple[Peer, Sequence[Peer]]:
    """The person who has the name bob now, and the person who had it before."""
    given_up(network, how)
    await refreshed(network)
    return await network.phone("bob", FE1), [await network.phone("robert", FE1)] if how == RENAMED else []


@pytest.mark.parametrize("how", [RENAMED, REMOVED])
@on_loop
async def test_call_that_one_may_make_is_not_that_of_a_later_user_of_the_name(home: Network, how: str) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await rules(home, "alice", callers={"*": "block", "bob": "allow"})
        later, persons = await phones(home, how)
        await called(later, ALICE)
        assert (await later.final()).status == 603
        for person in persons:
            await called(person, ALICE)
            await alice.reply(await comes(alice), 486)
            assert (await person.final()).status == 486


@pytest.mark.parametrize("how", [RENAMED, REMOVED])
@on_loop
async def test_blocked_caller_does_not_come_through_by_another_name(home: Network, how: str) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await rules(home, "alice", callers={"bob": "block"})
        later, persons = await phones(home, how)
        for person in persons:
            await called(person, ALICE)
            assert (await person.final()).status == 603
        await called(later, ALICE)
        await alice.reply(await comes(alice), 486)
        assert (await later.final()).status == 486


@pytest.mark.parametrize("rule", ["always", "also"])
@pytest.mark.parametrize("how", [RENAMED, REMOVED])
@on_loop
async def test_calls_of_others_do_not_reach_a_later_user_of_the_name(home: Network, how: str, rule: str) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await rules(home, "alice", **{rule: "bob" if rule == "always" else ("bob",)})
        later, persons = await phones(home, how)
        carol = await home.phone("carol", FE1)
        await called(carol, ALICE)
        for person in persons:
            await person.reply(await comes(person), 486)
        if not persons or rule == "also":
            await alice.reply(await comes(alice), 486)
        assert (await carol.final()).status == 486
        await later.silent()


@pytest.mark.parametrize("how", [RENAMED, REMOVED])
@on_loop
async def test_presence_is_not_shown_to_a_later_user_of_the_name(home: Network, how: str) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(publish(alice, BUSY))).status == 200
        users = Users(home.of("example.test").load().users_url)
        for watcher, rule in (("*", Watching.BLOCK), ("bob", Watching.ALLOW)):
            users.set_watcher(ALICE, watcher, rule)
        users.close()
        later, persons = await phones(home, how)
        assert (await later.ask(subscribe(later, ALICE))).status == 403
        for person in persons:
            assert (await person.ask(subscribe(person, ALICE))).status == 200


@on_loop
async def test_watcher_who_may_not_see_does_not_see_by_another_name(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(publish(alice, BUSY))).status == 200
        users = Users(home.of("example.test").load().users_url)
        users.set_watcher(ALICE, "bob", Watching.BLOCK)
        users.close()
        later, persons = await phones(home, RENAMED)
        assert (await persons[0].ask(subscribe(persons[0], ALICE))).status == 403
        assert (await later.ask(subscribe(later, ALICE))).status == 200
