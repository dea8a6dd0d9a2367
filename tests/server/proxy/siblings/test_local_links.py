"""What a worker does with its links for the other processes: it writes, answers in place of phones, and sends answers back."""

from __future__ import annotations

import asyncio
import socket
from itertools import count

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.routing.proxy.branch import MAGIC_COOKIE
from sipmesh.server.proxy.siblings.channel import ARRIVED, MOST_IN_ALL, MOST_PENDING, SEND
from sipmesh.server.worker_service import RemoteControlPlane
from sipmesh.sip.transaction.timers import Timer
from support.network import FE1, FE2
from support.overloaded import overload, ring_again
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of


@on_loop
async def test_request_for_a_phone_that_does_not_read_is_answered_by_its_worker(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, _ = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        flow = next(flow for flow in pair.nodes[TWO].flow_table.sessions() if flow.link.is_here)
        flow.link._writer.bound = 10
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 480


@on_loop
async def test_phone_that_never_answers_the_other_worker_is_awaited_as_long_as_its_transaction(
    example: Organisation,
) -> None:
    """A draining server waits for the link no longer. A phone that answers is awaited until then."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        link = next(flow.link for flow in pair.nodes[TWO].flow_table.sessions() if flow.link.is_here)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        message = await bob.request_in("MESSAGE")
        assert pair.siblings(TWO).waits_on(link)
        await bob.reply(message, 200)
        assert (await alice.final()).status == 200
        assert not pair.siblings(TWO).waits_on(link)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        assert pair.siblings(TWO).waits_on(link)
        ended = asyncio.get_running_loop().time() + Timer.F.seconds
        assert not pair.siblings(TWO).local._awaited.is_awaited(link.number, ended)


@on_loop
async def test_responses_of_a_phone_do_not_end_the_channel_to_another_worker(example: Organisation) -> None:
    """A worker that is behind loses responses; a closed channel would never be opened again."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        channel = pair.siblings(TWO).channel(ONE)
        assert channel is not None
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        message = await bob.request_in("MESSAGE")
        channel.pending += MOST_IN_ALL
        await bob.reply(message, 486)
        assert (await bob.ask(bob.request("OPTIONS", "sip:example.test"))).status == 200
        assert channel.is_open
        channel.pending -= MOST_IN_ALL
        await bob.reply(message, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_final_response_for_a_worker_that_is_behind_ends_the_request_with_500(example: Organisation) -> None:
    """Its response does not fit, and the sender would wait for a timer. With room the response itself arrives."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        channel = pair.siblings(TWO).channel(ONE)
        assert channel is not None
        for waiting, status in ((MOST_PENDING, 500), (0, 486)):
            await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
            message = await bob.request_in("MESSAGE")
            channel.pending += waiting
            await bob.reply(message, 486, body=b"busy")
            await bob.ask(bob.request("OPTIONS", "sip:example.test"))
            channel.pending -= waiting
            assert (await alice.final()).status == status


@on_loop
async def test_request_that_another_worker_serves_is_answered_when_that_worker_ends(example: Organisation) -> None:
    """The worker of the notifier ends with the request of a phone that it has got; the phone waited for 32 seconds."""
    async with pair_of(example) as pair:
        numbers = (n for n in count(3) if notifier_of("sip:bob@example.test", ["1", "2", str(n)], ()) == str(n))
        ours, theirs = socket.socketpair()
        pair.reception(ONE).join(next(numbers), f"{MAGIC_COOKIE}5fx", ours)
        alice = await pair.phone("alice", ONE)
        asked = (("event", "presence"), ("contact", "<sip:alice@host>"), ("expires", "60"))
        await alice.send(alice.request("SUBSCRIBE", "sip:bob@example.test", asked))
        await alice.silent()
        theirs.close()
        assert (await alice.final()).status == 503
        assert (await alice.ask(alice.request("SUBSCRIBE", "sip:bob@example.test", asked))).status != 503


@on_loop
async def test_responses_without_end_to_a_request_of_another_worker_count_as_requests_of_the_phone(
    example: Organisation,
) -> None:
    """The first ten count for no account, as at a server without workers. After the final one, each counts."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        await bob.send(bob.request("INVITE", f"sip:{alice.user}"))
        asked = await alice.request_in("INVITE")
        demand = pair.nodes[ONE].accounts._account("user", "sip:alice@example.test").demand
        with overload(pair.nodes[ONE], 0.5):
            await ring_again(alice, asked, bob)
            assert demand.asked == 2
            for _ in range(3):
                await alice.reply(asked, 486)
            await until(lambda: demand.asked == 5)


@on_loop
async def test_phone_stops_ringing_when_the_worker_of_the_caller_ends(example: Organisation) -> None:
    """The link of the caller has ended with that worker. The phone rang until timer C; a call at the other worker goes on."""
    async with pair_of(example) as pair:
        alice, bob, carol = await pair.phone("alice", ONE), await pair.phone("bob", TWO), await pair.phone("carol", TWO)
        for caller in (alice, carol):
            await caller.send(caller.request("INVITE", "sip:bob@example.test"))
            ringing = await bob.request_in("INVITE")
            await bob.reply(ringing, 180)
            while (await caller.receive()).status != 180:  # type: ignore[union-attr]  # a response
                pass
            if caller is alice:
                orphan = ringing
        channel = pair.siblings(TWO).channel(ONE)
        assert channel is not None
        channel.close()
        cancel = await bob.request_in("CANCEL")
        assert cancel.top_via.branch == orphan.top_via.branch
        await bob.reply(cancel, 200)
        await bob.reply(orphan, 487)
        assert (await bob.request_in("ACK")).top_via.branch == orphan.top_via.branch
        await bob.reply(ringing, 200)
        assert (await carol.final()).status == 200


@on_loop
async def test_call_that_is_accepted_after_the_worker_of_the_caller_has_ended_is_ended(example: Organisation) -> None:
    """Before its first response a CANCEL would come too early: the callee gets an ACK and a BYE."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        channel = pair.siblings(TWO).channel(ONE)
        assert channel is not None
        channel.close()
        await bob.silent()
        answer = await bob.reply(came, 200)
        ack, bye = await bob.request_in("ACK"), await bob.request_in("BYE")
        assert {request.to.tag for request in (ack, bye)} == {answer.to.tag}
        assert bye.cseq.number > ack.cseq.number == came.cseq.number
        await bob.reply(bye, 200)
        await bob.silent()


@on_loop
async def test_reference_of_another_worker_is_refused_while_the_call_of_the_phone_rings(example: Organisation) -> None:
    """That worker does not know of the call. Afterwards the same octets reach the phone."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        ringing = await bob.request_in("INVITE")
        link = next(flow.link for flow in pair.nodes[TWO].flow_table.sessions() if flow.link.is_here)
        refer = alice.request("REFER", "sip:bob@example.test", call_id=ringing.call_id)
        channel = pair.siblings(ONE).channel(TWO)
        assert channel is not None
        channel.send(SEND, link.number, refer.encode())
        await until(lambda: list(pair.told[TWO].events("message refused")))
        await bob.silent()
        await bob.reply(ringing, 486)
        assert (await alice.final()).status == 486
        await bob.request_in("ACK")
        channel.send(SEND, link.number, refer.encode())
        assert (await bob.request_in("REFER")).call_id == ringing.call_id


@on_loop
async def test_octets_that_are_no_message_are_logged(example: Organisation) -> None:
    async with pair_of(example) as pair:
        channel = pair.siblings(ONE).channel(TWO)
        assert channel is not None
        channel.send(ARRIVED, 6, b"no message")
        await until(lambda: list(pair.told[TWO].events("a message from another process cannot be read")))


@on_loop
async def test_request_for_a_link_that_is_unknown_here_gets_an_answer(example: Organisation) -> None:
    """The other worker knows a link that this one does not know any more, or not yet."""
    async with pair_of(example) as pair:
        alice, channel = await pair.phone("alice", ONE), pair.siblings(ONE).channel(TWO)
        link = next(flow.link for flow in pair.nodes[ONE].flow_table.sessions() if flow.link.is_here)
        assert channel is not None
        await until(lambda: link.number in pair.siblings(TWO).remote.links)
        pair.reception(TWO)._remote_down(link.number, "not known")
        channel.send(ARRIVED, link.number, alice.request("SUBSCRIBE", "sip:bob@example.test").encode())
        assert (await alice.final(method="SUBSCRIBE")).status == 503


@on_loop
async def test_message_of_the_control_plane_without_a_supervisor_is_refused(example: Organisation) -> None:
    async with pair_of(example) as pair:
        pair.nodes[ONE].outside.control_plane = RemoteControlPlane(pair.siblings(ONE))
        mate = await pair.peer("x", ONE, FE2)
        asked = mate.request("NOTIFY", f"sip:{FE1}", [("event", "sipmesh"), ("subscription-state", "active")])
        assert (await mate.ask(asked)).status == 503
