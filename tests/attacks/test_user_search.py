"""Who wants a list of all users, and gets none; the user who searches for one colleague beside it does."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from server.proxy.events.test_notifier import subscribe, told
from server.proxy.events.test_user_search import addresses, refused_after, searched, status
from sipmesh.server.proxy.events.user_search import MOST_FOUND
from sipmesh.server.quotas.search_rates import SEARCHES_A_MINUTE
from sipmesh.sip.message import Response
from sipmesh.storage.users.user_database import Users
from support.network import BOT, FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.tiers import wide_after
from support.user_changes import add_rows_of_users

ALICE = "sip:alice@example.test"


@on_loop
async def test_partner_finds_no_user_of_ours(federation: Network) -> None:
    """Neither by a search in the name of alice, nor by a search of the own user at home."""
    async with federation:
        erin, alice = await federation.phone("erin", PARTNER_FE), await federation.phone("alice", FE1)
        assert await status(erin, "alice", ALICE) == 403
        assert await addresses(erin, "alice") == []
        assert await addresses(erin, "erin") == ["erin@partner.test"]
        assert await addresses(alice, "alice") == [ALICE.removeprefix("sip:")]
        assert await addresses(alice, "erin") == []


@on_loop
async def test_user_searches_in_the_own_name_only(pool: Network) -> None:
    async with pool:
        bob, nobody, alice = await pool.phone("bob", FE1), await pool.peer(FE1, "alice"), await pool.phone("alice", FE1)
        assert await status(bob, "carol", ALICE) == 403
        assert await status(nobody, "carol", ALICE) == 407
        assert await addresses(alice, "carol") == ["carol@example.test"]


@pytest.mark.parametrize("speaks", [False, True])
@on_loop
async def test_application_searches_only_in_names_that_it_may_speak_for(pool: Network, *, speaks: bool) -> None:
    if speaks:
        pool.let_application_speak()
    async with pool:
        bot = await pool.peer(FE1, "alice", BOT)
        answer = await bot.ask(subscribe(bot, ALICE, searched("carol")))
        assert answer.status == (200 if speaks else 403)
        if speaks:
            assert b"carol@example.test" in (await told(bot)).body


@on_loop
async def test_user_who_copies_the_directory_gets_a_small_part_of_it(home: Network) -> None:
    """Three hundred users have the same part in their names. Each further search of the minute is refused; bob finds alice."""
    users = Users(home.organisations[0].load().users_url)
    for number in range(300):
        users.add(f"sip:clerk{number:03}@example.test", "secret")
    users.close()
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        seen = {
            name for query in ("clerk", "lerk", "erk", "rk0", "rk1", "rk2") for name in await addresses(alice, query)
        }
        assert MOST_FOUND <= len(seen) <= 6 * MOST_FOUND
        assert await refused_after(alice) <= 2 * SEARCHES_A_MINUTE
        assert await addresses(bob, "alice") == ["alice@example.test"]


@pytest.mark.parametrize("many", wide_after(1, [1_000, 50_000]))
@on_loop
async def test_login_that_searches_without_end_is_refused_and_another_one_is_served(home: Network, many: int) -> None:
    """The searches come at once, for one name after the other, with a search of bob in the middle."""
    add_rows_of_users(home.organisations[0], many)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        asked = [subscribe(alice, ALICE, searched(f"user{number:05}")) for number in range(20 * SEARCHES_A_MINUTE)]
        await alice.send(*asked)
        last = f"user{many - 1:05}"
        assert await addresses(bob, last) == [f"{last}@example.test"]
        answers = Counter[int]()
        while answers.total() < len(asked):
            if isinstance(came := await alice.receive(), Response):  # the others are results
                answers[came.status] += 1
        assert answers.keys() == {200, 503}
        assert answers[200] <= 2 * SEARCHES_A_MINUTE
        assert await addresses(bob, "user00000") == ["user00000@example.test"]


@on_loop
async def test_wildcards_are_letters(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        for query in (
            "***",
            "%%%",
            "___",
            ".*.",
            "@example.test",
            "' OR 1=1 --",
            "\x00\x00\x00",
            "sip",
            "tel",
            "phone",
        ):
            assert await addresses(alice, query) == [], query
        assert await status(alice, "a" * 400) == 489
        assert await addresses(alice, "alice") == ["alice@example.test"]


@on_loop
async def test_markup_in_names_stays_text(home: Network) -> None:
    """The document is JSON, and names in it have the characters of a SIP address only."""
    async with home:
        alice = await home.phone("alice", FE1)
        assert await addresses(alice, "<script>") == []
        notify = await _raw(alice, "alice")
        assert json.loads(notify)["users"][0]["address"] == "alice@example.test"
        assert not set('<>&"') & set(json.loads(notify)["users"][0]["address"])


async def _raw(peer: Peer, query: str) -> bytes:
    assert await status(peer, query) == 200
    return (await told(peer)).body


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_octets_that_are_not_utf_8_are_searched_for_like_others(pool: Network, server: str) -> None:
    """No link of the pool ends: the search may come from another server, with the calls of others."""
    async with pool:
        alice, bob = await pool.phone("alice", server), await pool.phone("bob", FE2 if server == FE1 else FE1)
        for query in ("\udcff\udcfe\udcfd", "a\udcff%20c", "\udcc3\udcbcx"):
            asked = subscribe(alice, ALICE, f'user-search;query="{query}"')
            assert (await alice.ask(asked)).status == 200
            assert json.loads((await told(alice)).body) == {"users": [], "more": False}
        assert await addresses(alice, "bob") == ["bob@example.test"]
        assert await addresses(bob, "alice") == ["alice@example.test"]
        assert [line for log in pool.told.values() for line in log.events("link closed")] == []
