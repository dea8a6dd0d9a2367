"""A user finds other users by a part of a name or number, and gets them as the one document of a subscription to itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from server.proxy.events.test_notifier import state, subscribe, told, watch
from sipmesh.server.proxy.events.user_search import MOST_FOUND, word_of
from sipmesh.server.quotas.search_rates import SEARCHES_A_MINUTE
from sipmesh.storage.users.user_database import Users
from support.call_rules import group, refreshed, rules
from support.network import FE1, FE2, POOL2, Network
from support.peer import Peer
from support.running import on_loop


def searched(query: str) -> str:
    return f"user-search;query={quote(query, safe='')}"


async def found(peer: Peer, query: str) -> Any:
    """Search; gives the whole result."""
    _, notify = await watch(peer, f"sip:{peer.user}", searched(query))
    assert (state(notify), notify.first("content-type")) == ("terminated", "application/json")
    return json.loads(notify.body)


async def addresses(peer: Peer, query: str) -> list[str]:
    return [one["address"] for one in (await found(peer, query))["users"]]


async def status(peer: Peer, query: str, to: str = "") -> int:
    return (await peer.ask(subscribe(peer, to or f"sip:{peer.user}", searched(query)))).status


async def refused_after(peer: Peer) -> int:
    """Search until the answer is 503; gives after how many searches."""
    for number in range(2 * SEARCHES_A_MINUTE + 1):
        answer = await peer.ask(subscribe(peer, f"sip:{peer.user}", searched("bob")))
        if answer.status != 200:
            assert (answer.status, answer.first("retry-after")) == (503, "60")
            return number
        await told(peer)
    raise AssertionError("each search was answered")


def scope(network: Network, value: str) -> None:
    network.organisations[0].document["user_search"] = value
    network.organisations[0].write()


async def numbered(network: Network, user: str, *aliases: str) -> None:
    users = Users(network.organisations[0].load().users_url)
    for alias in aliases:
        users.add_alias(user, alias)
    users.close()
    await refreshed(network)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("Bob", "bob"),
        ("+49 30 (123)", "+4930123"),
        ("030 123", "30123"),
        ("0049", "49"),
        ("müller", "m%c3%bcller"),
        ("a\r\nb", "a%0d%0ab"),
        ("***", "***"),
        ("  ", ""),
    ],
)
def test_query_is_compared_as_names_and_numbers_are_written(query: str, word: str) -> None:
    assert word_of(searched(query)) == word


@pytest.mark.parametrize("event", ["user-search", "user-search;id=1", "user-search;query", 'user-search;query=""'])
def test_event_without_a_query_searches_for_nothing(event: str) -> None:
    assert word_of(event) == ""


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_user_finds_users_numbers_and_groups(pool: Network, server: str) -> None:
    async with pool:
        await numbered(pool, "sip:bob@example.test", "+493012345", "77", "robert")
        await group(pool, "bobsleigh", "carol")
        alice = await pool.phone("alice", server)
        bob = {"address": "bob@example.test", "numbers": ["+493012345", "77"], "group": False}
        sleigh = {"address": "bobsleigh@example.test", "numbers": [], "group": True}
        assert await found(alice, "BOB") == {"users": [bob, sleigh], "more": False}
        assert await found(alice, "030 1234") == await found(alice, "rober") == {"users": [bob], "more": False}
        assert await addresses(alice, "example") == await addresses(alice, "%%%") == await addresses(alice, "***") == []


@on_loop
async def test_user_of_another_pool_is_found_and_searches(two_pools: Network) -> None:
    organisation = two_pools.organisations[0]
    other = next(user.aor for user in _all(organisation.load().users_url) if user.pool == POOL2)
    name = other.removeprefix("sip:")
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        assert name in await addresses(alice, name.partition("@")[0])
        far = await two_pools.phone(name.partition("@")[0], FE1)  # its home pool answers
        assert "alice@example.test" in await addresses(far, "alice")


def _all(url: Any) -> Any:
    users = Users(url)
    try:
        return list(users.list())
    finally:
        users.close()


@on_loop
async def test_results_are_bounded_and_begin_with_the_nearest(home: Network) -> None:
    users = Users(home.organisations[0].load().users_url)
    for number in range(MOST_FOUND + 5):
        users.add(f"sip:x{number:02}clerk@example.test", "secret")
    users.add("sip:clerk@example.test", "secret")
    users.close()
    async with home:
        alice = await home.phone("alice", FE1)
        result = await found(alice, "clerk")
        assert (len(result["users"]), result["more"]) == (MOST_FOUND, True)
        assert result["users"][0]["address"] == "clerk@example.test"


@pytest.mark.parametrize(("value", "finds"), [("organisation", True), ("domain", True), ("pool", False)])
@on_loop
async def test_topology_says_who_is_found(two_pools: Network, value: str, *, finds: bool) -> None:
    scope(two_pools, value)
    other = next(user.aor for user in _all(two_pools.organisations[0].load().users_url) if user.pool == POOL2)
    name = other.removeprefix("sip:")
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        assert (name in await addresses(alice, name.partition("@")[0])) is finds


@on_loop
async def test_search_that_is_off_is_refused(home: Network) -> None:
    scope(home, "off")
    async with home:
        alice = await home.phone("alice", FE1)
        assert await status(alice, "bob") == 403
        await alice.silent()


@on_loop
async def test_unlisted_user_is_found_by_no_search_and_can_be_called(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        await numbered(pool, "sip:bob@example.test", "+493012345")
        await rules(pool, "bob", unlisted=True)
        assert await addresses(alice, "bob") == await addresses(alice, "+4930") == []
        asked = alice.request("MESSAGE", "sip:bob@example.test", [("content-type", "text/plain")], b"hello")
        await alice.send(asked)
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        await rules(pool, "bob", unlisted=False)
        assert await addresses(alice, "bob") == ["bob@example.test"]


@on_loop
async def test_short_queries_and_too_many_searches_are_refused(home: Network) -> None:
    """Another user searches on."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert [await status(alice, query) for query in ("", "bo", " b ", "+")] == [400] * 4
        assert await refused_after(alice) <= 2 * SEARCHES_A_MINUTE  # a minute may end meanwhile
        assert await addresses(bob, "alice") == ["alice@example.test"]


@on_loop
async def test_search_of_a_server_without_users_finds_nothing(home: Network) -> None:
    """A subscription that asks for an hour ends at once too, and keeps no place."""
    async with home:
        alice = await home.phone("alice", FE1)
        granted, notify = await watch(alice, "sip:alice@example.test", searched("nobody"), ("expires", "3600"))
        assert (granted.first("expires"), json.loads(notify.body)) == ("0", {"users": [], "more": False})
        assert len(home.nodes[FE1].events.notifier) == 0
        await alice.silent()
