"""Metrics of links, read over HTTP from a server that runs."""

from __future__ import annotations

import asyncio

from server.admin.test_commands import refused_at
from support.figures import ask_for_figures, figures, labelled, page_of
from support.network import BOT, FE1, FE2, Network
from support.running import on_loop


@on_loop
async def test_links_verdicts_and_messages_are_counted_also_after_a_link_is_gone(pool: Network) -> None:
    port = ask_for_figures(pool.organisations[0])
    async with pool, page_of(pool):
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "hello")).ok
        await refused_at(pool)
        before = await figures(port)
        assert before[labelled("sipmesh_links", kind="server", state="up")] == 1
        assert before[labelled("sipmesh_link_verdicts_total", kind="server", direction="opened", code="accepted")] == 1
        refused = labelled("sipmesh_link_verdicts_total", kind="server", direction="accepted", code="no-certificate")
        assert before[refused] == 1
        assert before[labelled("sipmesh_messages_total", kind="server", direction="out")] == 1
        assert before[labelled("sipmesh_handshakes_in_flight")] == 0
        await pool.stop(FE2)
        after = await figures(port)
        assert labelled("sipmesh_links", kind="server", state="up") not in after
        assert after[labelled("sipmesh_messages_total", kind="server", direction="out")] == 1


@on_loop
async def test_what_waits_for_a_peer_that_does_not_read_is_reported(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bot = await home.phone("alice", FE1), await home.peer(FE1, "bot", credentials=BOT)
        assert (await figures(port))[labelled("sipmesh_bytes_waiting", kind="server")] == 0
        bot._reader._transport.pause_reading()  # type: ignore[attr-defined]  # what a peer that hangs looks like
        body = b"x" * 100_000
        while not any(link.blocked for link in home.nodes[FE1].pool.all()):
            await alice.send(alice.request("MESSAGE", f"sip:room@{BOT}", body=body))
            await asyncio.sleep(0)
        found = await figures(port)
        assert found[labelled("sipmesh_links_blocked", kind="server")] == 1
        assert found[labelled("sipmesh_bytes_waiting", kind="server")] > 0
        assert found[labelled("sipmesh_links_blocked", kind="client")] == 0


@on_loop
async def test_servers_that_answer_and_those_that_do_not_are_distinguished(pool: Network) -> None:
    port = ask_for_figures(pool.organisations[0])
    async with pool, page_of(pool):
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "hello")).ok
        assert (await figures(port))[labelled("sipmesh_server_up", server=FE2)] == 1
        pool.nodes[FE1].outages.silent(FE2, "test")
        found = await figures(port)
        assert found[labelled("sipmesh_server_up", server=FE2)] == 0
        assert found[labelled("sipmesh_server_outages_total", server=FE2)] == 1
