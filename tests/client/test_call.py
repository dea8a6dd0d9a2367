"""Calls between two agents, from INVITE to BYE."""

from __future__ import annotations

import pytest

from client.home import Certificates, Home, incoming, running
from sipmesh.client.dialog import DialogState
from sipmesh.client.outcome import NoAnswerError
from sipmesh.client.sdp import read_media
from sipmesh.sip.message import respond
from support.running import on_jumping_loop


@running
async def test_a_call_goes_from_invite_to_bye(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        call = await alice.call("bob@example.test")
        answered = await incoming(bob)
        assert (call.state, call.hops, answered.remote) == (
            DialogState.CONFIRMED,
            ("home.example.test",),
            "sip:alice@example.test",
        )
        assert [media.formats for media in read_media(call.answered_with)] == [("8",)]
        bye = await call.hang_up()
        await answered.over()
    assert bye is not None
    assert bye.status == 200
    assert [request.method for request in home.heard[4:]] == ["INVITE", "ACK", "BYE"]
    assert home.heard[-1].ruri.user == "bob"


@running
async def test_the_side_that_was_called_may_hang_up(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        call = await alice.call("bob@example.test")
        bye = await (await incoming(bob)).hang_up()
        await call.over()
    assert bye is not None
    assert (bye.status, call.state) == (200, DialogState.TERMINATED)
    assert await call.hang_up() is None


@running
async def test_call_may_be_accepted_later(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob", accept_calls=False)
        call = alice.invite("bob@example.test")
        ringing = await incoming(bob)
        await call.ringing.wait()
        assert (call.state, ringing.state) == (DialogState.EARLY, DialogState.EARLY)
        ringing.accept()
        assert (await call.answered()).status == 200


@running
async def test_a_call_may_be_rejected(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob", accept_calls=False)
        call = alice.invite("bob@example.test")
        (await incoming(bob)).reject(603, "Decline")
        outcome = await call.answered()
        await call.over()
    assert (outcome.status, outcome.reason) == (603, "Decline")
    assert home.heard[-1].method == "ACK"


@running
async def test_ringing_call_may_be_cancelled(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob", accept_calls=False)
        call = alice.invite("bob@example.test")
        ringing = await incoming(bob)
        assert (await call.cancel()).status == 487
        await ringing.over()
        ringing.accept()
        assert ringing.state is DialogState.TERMINATED


@running
async def test_call_cancelled_before_it_was_sent_ends(certificates: Certificates) -> None:
    """Also if a challenge comes first."""
    async with Home(certificates) as home:
        await home.agent("bob", accept_calls=False)
        alice = await home.agent("alice", "alice-pw")
        assert (await alice.invite("bob@example.test").cancel()).status == 487


@on_jumping_loop
async def test_a_2xx_is_repeated_and_acknowledged_again_until_its_ack_arrives(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        home.silent = frozenset({"ACK"})
        call = await alice.call("bob@example.test")
        first, second = await home.hears("ACK"), await home.hears("ACK", 2)
        home.silent = frozenset()
        assert (first.cseq, first.to) == (second.cseq, second.to)
        assert (await incoming(bob)).state is DialogState.CONFIRMED
        assert call.state is DialogState.CONFIRMED


@running
async def test_a_second_fork_that_answers_is_acknowledged_and_hung_up(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice = await home.agent("alice")
        home.silent = frozenset({"INVITE"})
        call = alice.invite("bob@example.test")
        invite = await home.hears("INVITE")
        for tag in ("one", "two"):
            response = respond(invite, 200, headers=[("contact", "<sip:127.0.0.1>")], to_tag=tag)
            home.links[0].send(response.encode())
        assert (await call.answered()).status == 200
        bye = await home.hears("BYE")
        assert (bye.to.tag, [request.to.tag for request in home.heard[3:5]]) == ("two", ["one", "two"])
        assert call.state is DialogState.CONFIRMED


@running
async def test_2xx_without_a_dialog_fails_only_the_call(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice = await home.agent("alice")
        home.silent = frozenset({"INVITE"})
        call = alice.invite("bob@example.test")
        home.links[0].send(respond(await home.hears("INVITE"), 200, to_tag="one").encode())
        with pytest.raises(NoAnswerError, match="cannot be used"):
            await call.answered()
        assert (await alice.options()).status == 200


@running
async def test_call_to_an_unknown_user_fails_and_is_acknowledged(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice = await home.agent("alice")
        call = await alice.call("nobody@example.test")
        assert (await call.answered()).status == 404
        assert call.state is DialogState.TERMINATED
        assert (await alice.options()).status == 200
        assert [request.method for request in home.heard[2:]] == ["INVITE", "ACK", "OPTIONS"]


@running
async def test_calls_requests_are_answered_by_either_side(certificates: Certificates) -> None:
    """A re-INVITE describes the session again, and an INFO is accepted."""
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        call = await alice.call("bob@example.test")
        await incoming(bob)
        assert call.dialog is not None
        line, party = call.line, call.line.party
        again = await line.ask(party.inside(call.dialog, "INVITE", [("contact", party.contact)]))
        assert (again.status, again.response.first("content-type")) == (200, "application/sdp")
        line.send(party.inside(call.dialog, "ACK"))
        assert (await line.ask(party.inside(call.dialog, "INFO"))).status == 200


@running
async def test_request_with_an_old_cseq_is_refused(certificates: Certificates) -> None:
    """RFC 3261 12.2.2: the answer is 500."""
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        call = await alice.call("bob@example.test")
        await incoming(bob)
        assert call.dialog is not None
        line, party = call.line, call.line.party
        older = party.inside(call.dialog, "INFO")
        assert (await line.ask(party.inside(call.dialog, "INFO"))).status == 200
        assert (await line.ask(older)).status == 500


def test_call_without_an_ack_is_hung_up_after_64_t1(certificates: Certificates) -> None:
    """RFC 3261 13.3.1.4: the 2xx is repeated until then."""

    @on_jumping_loop
    async def rings() -> None:
        async with Home(certificates) as home:
            alice, bob = await home.agent("alice"), await home.agent("bob")
            home.silent = frozenset({"ACK"})
            call = await alice.call("bob@example.test")
            answered = await incoming(bob)
            await call.over()
            await answered.over()
            assert len([one for one in home.heard if one.method == "ACK"]) == 11
            assert home.heard[-1].method == "BYE"

    rings()
