"""Our own responses: a reference to the log, and nothing that is inside."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.errors import LocalError, RemoteError
from sipmesh.routing.outcome import Answer, Drop
from sipmesh.server.proxy.serving.effects import RefuseForOctets, RefuseForUsers, RefuseUnstored
from sipmesh.sip.framing import MAX_ROWS
from sipmesh.sip.message import respond
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.storage.messages import Storing
from sipmesh.trust.code import Code
from support.network import FE1, Network
from support.recording import with_records
from support.running import on_loop, until
from support.still_server import asked, closed, statuses, still_server, written_on

still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")


@on_loop
async def test_ack_is_never_answered_for_any_fault_of_it(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await alice.send(alice.request("ACK", "sip:bob@example.test"))
        await alice.send(alice.request("ACK", "sip:bob@example.test", [("route", "<sip:victim.example.net;lr>")]))
        broken = alice.request("ACK", "sip:bob@example.test").encode()
        await alice.write(broken.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
        await alice.write(broken.replace(b"From: <", b"From: broken <"))
        await alice.silent()


@on_loop
async def test_refusal_has_a_coarse_class_and_a_reference_to_our_log(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        subscribe = alice.request("SUBSCRIBE", "sip:bob@example.test")
        subscribe.append("event", "sipmesh")
        refused = await alice.ask(subscribe)
        assert refused.status == 489
        [told] = home.nodes[FE1].refusals.newest
        assert (told.code, told.status) == ("role-not-allowed", 489)
        warning = refused.first("warning") or ""
        assert "refused: role" in warning
        assert told.reference in warning


@pytest.mark.skipif(built() == "compiled", reason="a method of a compiled object cannot be replaced")
@on_loop
async def test_unwritable_store_is_a_500_without_the_reason(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with home:
        alice = await home.phone("alice", FE1)

        def fails(*_: object) -> None:
            raise LocalError("the disk is gone")

        monkeypatch.setattr(home.nodes[FE1].registrations, "register", fails)
        answer = await alice.register()
        assert (answer.status, b"disk" in answer.encode()) == (500, False)
        assert home.told[FE1].last("request failed")["why"] == "the disk is gone"
        home.told[FE1].lines.clear()


@on_loop
async def test_ack_of_a_request_that_was_refused_statelessly_forgets_its_key(home: Network) -> None:
    """RFC 3261 8.2.7: nothing but the key is kept, so that its CANCEL gets 200 and its ACK goes no further."""
    async with home:
        alice = await home.phone("alice", FE1)
        [flow] = home.nodes[FE1].flow_table.sessions()
        invite = alice.request("INVITE", "sip:bob@example.test", [("proxy-require", "teleport")])
        refused = await alice.ask(invite)
        assert (refused.status, len(flow.refused)) == (420, 1)
        assert (await alice.ask(cancel_for(invite))).status == 200
        await alice.send(ack_for(invite, refused))
        await until(lambda: not flow.refused)


# Without a network


@still
@on_loop
async def test_our_own_responses(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        responder, alice = server.core.responder, server.phone()
        invite, ack = server.received(alice, asked("INVITE")), server.received(alice, asked("ACK"))
        responder.answer(ack, Answer(404))
        responder.answer(invite, Answer(403, code=Code.FROM_NOT_ALLOWED, why="not so"))
        assert (statuses(alice), list(alice.refused)) == ([403], [invite.key])
        [refused] = responder.refusals.newest
        warning = written_on(alice)[0].first("warning") or ""
        assert refused.reference in warning
        responder.reply(invite, respond(invite.request, 200, headers=[("x-row", "1")] * MAX_ROWS))
        assert statuses(alice) == [403, 513]


@still
@on_loop
async def test_faults(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        responder, alice, message = server.core.responder, server.phone(), asked("MESSAGE")
        wrong, ours = RemoteError("bad", rule="a rule", status=416), LocalError("the disk is gone")
        for request in (message, asked("ACK")):
            responder.refuse_malformed(alice, request, wrong)
            responder.refuse_failed(alice, request, ours)
        assert statuses(alice) == [416, 500]
        server.core._transactions.begin(server.received(alice, message))
        responder.refuse_failed(alice, message, ours)
        assert (statuses(alice), alice.served) == ([416, 500, 500], {})
        monkeypatch.setattr("sipmesh.server.proxy.responder.respond", unanswerable)
        responder.refuse_malformed(alice, asked("MESSAGE"), wrong)
        assert closed(alice)[0].startswith("cannot be answered: ")
        server.parts.told.lines.clear()


@still
@on_loop
async def test_limits_are_counted_and_logged(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        responder, alice, told = server.core.responder, server.phone(), server.parts.told
        received = server.received(alice, asked("MESSAGE"))
        responder.refuse_for_octets(received, RefuseForOctets(alice.account))
        responder.refuse_for_users(received, RefuseForUsers())
        responder.refuse_unstored(received, RefuseUnstored("sip:bob@example.test", Storing.USER_FULL))
        responder.drop(received, Drop("no way"))
        assert statuses(alice) == [503, 480, 480]
        assert server.state.accounts.refused == {"user": 2}
        for event in ("too many octets in memory", "too many different users addressed", "message not stored"):
            assert told.last(event)["link"] == alice.link.id


def unanswerable(*_: object) -> None:
    raise RemoteError("no response fits", rule="a rule")


@still
@on_loop
async def test_refusal_of_the_next_target_of_a_call_is_recorded_with_its_reason(home: Network) -> None:
    """The reason is for the operator: the phone gets its class and a reference."""
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        proxied = server.core.begin(server.received(alice, asked("INVITE")))
        plain = server.core.responder.refusal(proxied, Answer(480, why="no phone"))
        coded = server.core.responder.refusal(proxied, Answer(404, code=Code.NO_ROUTE, why="inside"))
        assert [(one.status, one.has("warning")) for one in (plain, coded)] == [(480, True), (404, True)]
        assert b"inside" not in coded.encode()
        assert b"no phone" not in plain.encode()
        [absent] = server.core.responder.refusals.plain
        assert (absent.code, absent.why) == (None, "no phone")
        [told] = server.core.responder.refusals.newest
        assert (told.code, told.why) == (Code.NO_ROUTE, "inside")


@still
@on_loop
async def test_refused_call_has_a_record(home: Network) -> None:
    with_records(home)
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        server.core.responder.answer(
            server.received(alice, asked("INVITE")), Answer(404, code=Code.NO_ROUTE, why="inside")
        )
        assert statuses(alice) == [404]
