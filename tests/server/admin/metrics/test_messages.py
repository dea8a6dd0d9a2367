"""Metrics of messages and calls, read over HTTP from a server that runs."""

from __future__ import annotations

from server.proxy.events.test_message_history import tell
from sipmesh.sip.transaction.ack import ack_for
from support.figures import ask_for_figures, figures, labelled, page_of
from support.history import keep_history, kept
from support.network import FE1, Network
from support.recording import with_records
from support.running import on_loop
from support.talking import inside_of, reaches, talking


@on_loop
async def test_refused_messages_are_counted_by_code(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice = await home.phone("alice", FE1)
        stolen = alice.request("MESSAGE", "sip:bob@example.test", sender="<sip:x@stranger.test>;tag=1")
        assert (await alice.ask(stolen)).status == 403
        assert (await figures(port))[labelled("sipmesh_messages_refused_total", code="from-not-allowed")] == 1


@on_loop
async def test_entries_of_message_histories_are_counted(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    keep_history(home)
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"hello") == 200
        await kept(home, 2)
        found = await figures(port)
        assert found[labelled("sipmesh_history_entries_total")] == 2
        assert found[labelled("sipmesh_history_entries_lost_total")] == 0


@on_loop
async def test_how_long_answers_took_is_reported_by_kind_of_request(home: Network) -> None:
    """A phone rings as long as a person likes; a message is answered by a machine."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        await alice.final()
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        ringing = await bob.request_in("INVITE")
        await bob.reply(ringing, 180)
        before = await figures(port)
        assert before[labelled("sipmesh_request_seconds_count", method="other")] == 1
        assert before[labelled("sipmesh_request_seconds_count", method="INVITE")] == 0
        await bob.reply(ringing, 486)
        await alice.send(ack_for(invite, await alice.final()))
        await alice.silent()
        after = await figures(port)
        assert after[labelled("sipmesh_request_seconds_count", method="INVITE")] == 1
        assert after[labelled("sipmesh_request_seconds_bucket", method="INVITE", le="+Inf")] == 1
        assert 0 < after[labelled("sipmesh_request_seconds_sum", method="INVITE")] < 10
        assert after[labelled("sipmesh_requests_unanswered_total")] == 0


@on_loop
async def test_calls_are_counted_once_for_any_responses_and_repetitions(home: Network) -> None:
    """Not each re-INVITE, not each copy of a response, and no message."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        assert (await bob.request_in("ACK")).method == "ACK"
        again = inside_of(dialog, alice, "INVITE")
        await alice.send(again)
        await bob.reply(await bob.request_in("INVITE"), 200)
        await alice.final()
        refused = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(refused)
        came = await bob.request_in("INVITE")
        for status in (180, 486, 486):
            await bob.reply(came, status)
        await alice.send(ack_for(refused, await alice.final()))
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        found = await figures(port)
        assert found[labelled("sipmesh_calls_started_total")] == 2
        answered = {name: found[labelled("sipmesh_calls_answered_total", **{"class": name})] for name in ("2xx", "4xx")}
        assert answered == {"2xx": 1, "4xx": 1}


@on_loop
async def test_records_are_counted_until_they_are_written(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with with_records(home), page_of(home):
        await reaches(await home.phone("alice", FE1), await home.phone("bob", FE1))
        found = await figures(port)
        names = ("sipmesh_call_records_total", "sipmesh_call_records_waiting", "sipmesh_call_records_lost_total")
        assert [found[labelled(name)] for name in names] == [1, 1, 0]


@on_loop
async def test_calls_that_are_up_are_counted(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await figures(port))[labelled("sipmesh_calls_up")] == 0
        await talking(alice, bob)
        assert (await figures(port))[labelled("sipmesh_calls_up")] == 1
