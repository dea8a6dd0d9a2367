"""The deadlines of RFC 3261 for requests without an end: over real links, with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.errors import RemoteError
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.call_rules.diversion import NOT_DIVERTED
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.media.bridging.leg import Leg
from sipmesh.routing.media.rules import MediaRules
from sipmesh.routing.outcome import Forward, Screening, Store, ToUser
from sipmesh.routing.proxy.effects import Divert
from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.routing.target import Carriage, FlowTarget, Found, RemoteFlowTarget, ServerTarget
from sipmesh.server.proxy.flow import MOST_FORWARDED, MOST_RESPONSES, SentBranch
from sipmesh.server.proxy.relay import FORGOTTEN_AT_ONCE
from sipmesh.server.proxy.rtpengine.bridge import Bridge
from sipmesh.server.proxy.rtpengine.control_socket import AwaitedReply, Fault
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.timers import Timer
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.evidence import LinkKind
from support.bindings import bound
from support.descriptions import CLEAR, SDES, SDP, with_body
from support.memory_locations import Gate, MemoryLocations, MemoryStore
from support.network import BOT, EDGE, FE1, FE2, FE3, FE4, Network
from support.peer import Peer
from support.recording import with_records
from support.running import on_jumping_loop, on_loop, until
from support.still_server import (
    StillServer,
    answer,
    asked,
    closed,
    forward,
    methods,
    partner,
    sent_to,
    statuses,
    still_server,
    to,
    written_on,
)
from support.talking import talking
from support.ticking import SLACK_S, is_idle, ticking

FINAL_S, RINGING_S = Timer.B.seconds, Timer.C.seconds
ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")


@on_jumping_loop
async def test_provisional_responses_are_forwarded_only_for_invite(home: Network) -> None:
    """RFC 4320 4.1."""
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        await bob.reply(came, 183)
        await bob.reply(came, 200)
        answered = await alice.receive()
        assert getattr(answered, "status", 0) == 200


@on_jumping_loop
async def test_closed_link_ends_its_requests(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        for method in ("INVITE", "MESSAGE"):
            await alice.send(alice.request(method, "sip:bob@example.test"))
            await bob.request_in(method)
        await alice.__aexit__()
        await asyncio.sleep(FINAL_S + SLACK_S)
        assert is_idle(node)
        assert len(node.flow_table.sessions()) == 1


@on_jumping_loop
@pytest.mark.wide
async def test_registration_without_a_refresh_expires(home: Network) -> None:
    """It expires by the loop's time, which cannot be set; the default is ten minutes."""
    async with ticking(home) as (node, alice, _):
        granted_s = RegistrarLimits().default_expires_s
        await asyncio.sleep(granted_s - SLACK_S)
        assert len(await bound(node, "sip:bob@example.test")) == 1
        await asyncio.sleep(2 * SLACK_S)
        assert (await alice.ask(alice.request("INVITE", "sip:bob@example.test"))).status == 480


# Many transactions that are over


@asynccontextmanager
async def many_calls(home: Network) -> AsyncIterator[tuple[RunningServer, TimeoutQueue[SentBranch], Peer]]:
    """A front end with more answered calls than it forgets at once, their branches, and the phone of the callee."""
    async with home:
        node = home.nodes[FE1]
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for _ in range(FORGOTTEN_AT_ONCE + 20):
            await alice.send(alice.request("INVITE", "sip:bob@example.test"))
            await bob.reply(await bob.request_in("INVITE"), 200)
            assert (await alice.final()).status == 200
        yield node, node.relay.client_transactions.lingering, bob


@on_jumping_loop
async def test_transactions_that_are_over_are_forgotten_a_part_in_each_turn_of_the_loop(home: Network) -> None:
    async with many_calls(home) as (node, lingering, _):
        count = len(lingering)
        assert count >= FORGOTTEN_AT_ONCE + 20
        await asyncio.sleep(FINAL_S + SLACK_S)
        node.sweep.tick()
        assert len(lingering) == count - FORGOTTEN_AT_ONCE
        await until(lambda: is_idle(node))


@on_jumping_loop
async def test_transactions_of_a_closed_link_are_forgotten_a_part_in_each_turn_of_the_loop(home: Network) -> None:
    async with many_calls(home) as (node, lingering, bob):
        count = len(lingering)
        await bob.__aexit__()
        await until(lambda: len(node.flow_table.sessions()) == 1)
        assert len(lingering) == count - FORGOTTEN_AT_ONCE
        node.sweep.tick()
        assert len(lingering) == 0


# The end of this server, and servers that do not answer


@on_jumping_loop
async def test_request_that_is_given_up_gets_503_and_nothing_waits_for_it_any_more(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        flows = node.flow_table.sessions()
        await until(lambda: all(node.under_way.waits_on(flow) for flow in flows))
        assert node.relay.give_up("5") == 1
        assert (await alice.final()).status == 503
        assert not any(node.under_way.waits_on(flow) for flow in flows)
        await bob.reply(await bob.request_in("CANCEL"), 200)
        assert node.relay.give_up("5") == 0


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE", "REGISTER"])
@on_jumping_loop
async def test_request_that_waits_for_the_store_gets_503_too_when_it_is_given_up(pool: Network, method: str) -> None:
    """The server ends before the store has answered; what the store answers then goes to no client."""
    gate, store = Gate(), MemoryStore()
    pool.stores = {FE1: MemoryLocations(store, gate), FE2: MemoryLocations(store)}
    async with pool:
        node = pool.nodes[FE1]
        alice = await pool.phone("alice", FE1)
        await pool.phone("bob", FE2)
        alice.contact = "<sip:alice@192.0.2.7;transport=tls>"
        gate.is_shut = True
        to = "sip:alice@example.test" if method == "REGISTER" else "sip:bob@example.test"
        await alice.send(alice.request(method, "sip:example.test" if method == "REGISTER" else to, to=f"<{to}>"))
        await until(lambda: gate.kept)
        assert node.relay.give_up("5") == 1
        refused = await alice.final()
        assert (refused.status, refused.first("retry-after")) == (503, "5")
        gate.open()
        await alice.silent()


@on_jumping_loop
async def test_call_that_is_up_waits_for_nothing(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await talking(alice, bob)
        await bob.request_in("ACK")
        assert not any(node.under_way.waits_on(flow) for flow in node.flow_table.sessions())
        assert node.relay.give_up("5") == 0


# Without a network: one event after another, and what is written on each link


@still
@on_loop
async def test_each_response_goes_back_and_the_branch_ends(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, asked("MESSAGE"), bob)
        answer(server, bob, came, 200)
        assert statuses(alice) == [200]
        assert (alice.served, bob.sent, server.parts.relays.relay.load) == ({}, {}, 0)
        assert not answer(server, bob, came, 200)


@still
@on_loop
async def test_invite_rings_is_cancelled_and_ends(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        came = sent_to(server, alice, asked("INVITE"), bob)
        answer(server, bob, came, 180)
        [invite] = alice.served.values()
        relay.cancel(invite, ('SIP;cause=200;text="Call completed elsewhere"',))
        relay.cancel(invite, ())
        answer(server, bob, came, 487)
        assert statuses(alice) == [100, 180, 487]
        assert methods(bob) == ["INVITE", "CANCEL", "ACK"]


@still
@on_loop
async def test_invite_that_waits_for_the_store_is_cancelled(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        waiting = server.core._transactions.begin(server.received(alice, asked("INVITE")))
        server.parts.relays.relay.cancel(waiting, ())
        assert statuses(alice) == [487]


@pytest.mark.parametrize(
    ("policy", "status", "ended"),
    [(MediaPolicy.REQUIRED, 200, ["ACK", "BYE"]), (MediaPolicy.REQUIRED, 183, ["CANCEL"])],
)
@still
@on_loop
async def test_media_that_the_policy_forbids_end_the_call_at_its_callee(
    home: Network, policy: MediaPolicy, status: int, ended: list[str]
) -> None:
    async with still_server(home.organisations[0]) as server:
        current = server.parts.setup.current
        current.value = replace(current.value, media=MediaRules({"example.test": policy}, {}, {}))
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, with_body(asked("INVITE"), SDES), bob)
        answer(server, bob, came, status, ("contact", "<sip:bob@192.0.2.9>"), body=CLEAR)
        assert methods(bob) == ["INVITE", *ended]
        if status == 200:
            assert statuses(alice) == [100, 488]
        else:
            answer(server, bob, came, 487)
            assert statuses(alice) == [100, 488]


@still
@on_loop
async def test_offer_is_kept_for_a_further_answer(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        current = server.parts.setup.current
        current.value = replace(current.value, media=MediaRules({"example.test": MediaPolicy.ENCRYPTED}, {}, {}))
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, with_body(asked("INVITE"), SDES), bob)
        [invite] = alice.served.values()
        answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"), body=SDES)
        assert invite.offer is not None


@pytest.mark.parametrize(("status", "answered"), [(200, [502]), (183, []), (486, [502])])
@still
@on_loop
async def test_response_that_cannot_go_back_is_replaced(home: Network, status: int, answered: list[int]) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, asked("MESSAGE"), bob)
        response = respond(came, status)
        response.remove("via")
        response.prepend("via", came.values("via")[0])
        with pytest.raises(RemoteError):
            server.parts.relays.relay.responded(bob, response)
        assert statuses(alice) == answered


@still
@on_loop
async def test_malformed_response_ends_the_branch_of_its_own_request_alone(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        came = sent_to(server, alice, asked("INVITE"), bob)
        other = respond(came, 200, to_tag="2")
        other.replace("cseq", "1 MESSAGE")
        assert not relay.malformed(bob, other)
        broken = respond(came, 200, to_tag="2", headers=(("contact", "<sip:["),))
        broken.replace("cseq", "x")
        assert relay.malformed(bob, broken)
        assert statuses(alice) == [100, 502]
        assert methods(bob) == ["INVITE", "ACK", "BYE"]
        assert not relay.malformed(alice, broken)
        broken.replace("via", "x")
        assert not relay.malformed(bob, broken)


@still
@on_loop
async def test_malformed_refusal_is_acknowledged(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        came = sent_to(server, alice, asked("INVITE"), bob)
        relay.malformed(bob, respond(came, 180, to_tag="2"))
        for _ in range(2):
            relay.malformed(bob, respond(came, 486, to_tag="2"))
        assert statuses(alice) == [100, 502]
        assert methods(bob) == ["INVITE", "ACK"]


@still
@on_loop
async def test_responses_are_counted_for_their_branch(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        came = sent_to(server, alice, asked("INVITE"), bob)
        found = []
        for _ in range(MOST_RESPONSES):
            found.append(relay.is_answered_without_end(bob, respond(came, 180)))
            answer(server, bob, came, 180)
        assert found == [False] * MOST_RESPONSES
        assert relay.is_answered_without_end(bob, respond(came, 180))


@still
@on_loop
async def test_end_of_a_link_ends_what_waits_on_it(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        for method in ("INVITE", "MESSAGE"):
            sent_to(server, alice, asked(method), bob)
        relay.link_down(alice)
        assert methods(bob) == ["INVITE", "MESSAGE"]  # a CANCEL waits for a provisional response
        dora = server.phone("carol")
        sent_to(server, dora, asked("INVITE", sender="sip:carol@example.test"), bob)
        relay.link_down(bob)
        assert statuses(dora) == [100, 480]


@still
@on_loop
async def test_end_of_a_carried_flow_ends_its_own_requests(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        sent_to(server, alice, asked("MESSAGE"), bob)
        relay.flow_ended(alice)
        assert (alice.served, len(bob.sent)) == ({}, 1)
        relay.flow_ended(bob)
        assert bob.sent == {}


@still
@on_loop
async def test_sender_without_room_gets_another_final_response_and_no_provisional_one(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, asked("INVITE"), bob)
        link: Any = alice.link
        link.room, link.can_hold = 0, lambda _size: True
        answer(server, bob, came, 180)
        answer(server, bob, came, 486)
        assert statuses(alice) == [100, 500]


@still
@on_loop
async def test_flow_that_the_next_server_does_not_know_ends(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        alice, home_server = server.phone(), server.server(FE3)
        carriage = Carriage(home_server.number, "", "path")
        target = ServerTarget((FE3,), LinkKind.SERVER, BOB, carries=carriage)
        forward(server, alice, asked("MESSAGE"), target)
        [came] = [one for one in written_on(home_server) if isinstance(one, Request)]
        answer(server, home_server, came, 430)
        assert closed(alice) != []
        client = server.server(FE4)
        carried = server.flow()
        carried.carried_by(client, "<sip:x@fe4.example.test;lr>")
        proxied = server.core._transactions.begin(server.received(carried, asked("MESSAGE", f"sip:{BOT}")))
        forwarded = Forward((FlowTarget(1 << 40, b"o", BOB, found=Found.TOKEN),), ALICE)
        server.parts.relays.relay.forward(proxied, forwarded)
        assert statuses(carried) == [480]


@still
@on_loop
async def test_home_pool_answers_a_register_that_is_carried(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        client = server.flow()
        received = server.received(client, asked("REGISTER", "sip:example.test", to=BOB))
        server.core.take(received, received)
        [home_server] = server.links.made.values()
        [came] = [one for one in written_on(home_server) if isinstance(one, Request)]
        answer(server, home_server, came, 200, ("service-route", "<sip:token@fe3.example.test;lr>"))
        assert (statuses(client), list(client.logins)) == ([200], [BOB])


@still
@on_loop
async def test_message_whose_server_is_lost_is_stored(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, row = server.phone(), server.row("bob", 7, FE2)
        proxied = server.core._transactions.begin(server.received(alice, asked("MESSAGE")))
        lost = Forward((RemoteFlowTarget(row, BOB),), ALICE, Store(BOB, ALICE))
        server.parts.relays.relay.forward(proxied, lost)
        server.parts.relays.relay.link_down(server.links.made[FE2])
        await until(lambda: statuses(alice) == [202])


@still
@on_loop
async def test_partner_gets_no_asserted_identity(federation: Network) -> None:
    async with still_server(federation.organisations[0], EDGE) as server:
        carol = server.flow(LinkKind.PARTNER, partner(server))
        request = asked("MESSAGE", sender="sip:carol@partner.test")
        forward(server, carol, request, ServerTarget((FE1,), LinkKind.SERVER, BOB))
        [came] = [one for one in written_on(server.links.made[FE1]) if isinstance(one, Request)]
        answer(server, server.links.made[FE1], came, 200, ("p-asserted-identity", f"<{BOB}>"))
        assert not written_on(carol)[0].has("p-asserted-identity")


@still
@on_loop
async def test_binding_of_a_lost_flow_is_forgotten(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        forgotten: list[Any] = []
        relay: Any = server.parts.relays.relay
        monkeypatch.setattr(type(relay._registrations), "forget", lambda _, row: forgotten.append(row))
        alice, row = server.phone(), server.row("bob", 7, FE2)
        forward(server, alice, asked("MESSAGE"), RemoteFlowTarget(row, BOB))
        mate = server.links.made[FE2]
        [came] = [one for one in written_on(mate) if isinstance(one, Request)]
        answer(server, mate, came, 430)
        assert forgotten == [row]


@still
@on_loop
async def test_timers_end_branches_and_requests(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        silent = server.registered("carol")
        forward(server, alice, asked("INVITE"), to(bob), to(silent))
        first = next(one for one in written_on(bob) if isinstance(one, Request))
        answer(server, bob, first, 486)
        sent_to(server, alice, asked("MESSAGE"), bob)
        late: Any = lambda: 1e9  # noqa: E731 - a clock
        monkeypatch.setattr(relay, "_clock", late)
        while relay.sweep(1):
            pass
        assert (alice.served, bob.sent) == ({}, {})
        assert {408, 486} & set(statuses(alice))


@still
@on_loop
async def test_server_that_ends_gives_up_each_request(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        server.core._transactions.begin(server.received(alice, asked("MESSAGE")))
        sent_to(server, alice, asked("MESSAGE"), bob)
        came = sent_to(server, alice, asked("INVITE"), bob)
        answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"))
        assert relay.give_up("5") == 2
        assert statuses(alice) == [100, 200, 503, 503]


@still
@on_loop
async def test_responses_without_end_are_dropped_but_for_the_first_final_one(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, asked("INVITE"), bob)
        for _ in range(MOST_FORWARDED + 5):
            answer(server, bob, came, 180)
        answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"))
        answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"))
        assert statuses(alice) == [100, *[180] * MOST_FORWARDED, 200]


@still
@on_loop
async def test_carried_phone_that_is_gone_at_its_server_ends_here(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        alice, carried = server.phone(), server.phone("bob")
        carried.carried_by(server.server(FE4), "<sip:x@fe4.example.test;lr>")
        came = sent_to(server, alice, asked("MESSAGE"), carried)
        answer(server, carried, came, 430)
        assert closed(carried) != []


@still
@on_loop
async def test_request_that_does_not_fit_into_the_link_of_a_phone_is_answered(home: Network) -> None:
    """413 if its link can never have room; a phone whose link is full now cannot be reached."""
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        link: Any = bob.link
        link.room = 0
        forward(server, alice, asked("MESSAGE"), to(bob))
        link.can_hold = lambda _size: True
        forward(server, alice, asked("MESSAGE"), to(bob))
        assert (statuses(alice), methods(bob)) == ([413, 480], [])


@still
@on_loop
async def test_malformed_response_after_the_final_one_changes_nothing(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, asked("INVITE"), bob)
        answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"))
        server.parts.relays.relay.malformed(bob, respond(came, 486, to_tag="3"))
        assert statuses(alice) == [100, 200]


@still
@on_loop
async def test_forked_and_abandoned_calls_have_records(home: Network) -> None:
    async with still_server(with_records(home).organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        carol = server.registered("carol")
        forward(server, alice, asked("INVITE"), to(bob), to(carol))
        for flow in (bob, carol):
            came = next(one for one in written_on(flow) if isinstance(one, Request))
            answer(server, flow, came, 200, ("contact", "<sip:x@192.0.2.9>"))
        [call] = relay.calls.records.up
        assert len(call.dialogs) == 2
        sent_to(server, alice, asked("INVITE"), bob)
        relay.link_down(alice)
        assert relay.calls.records.buffer


@still
@on_loop
async def test_what_is_left_of_closed_links_is_forgotten_by_the_sweeps_that_follow(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        for _ in range(FORGOTTEN_AT_ONCE + 2):
            came = sent_to(server, alice, asked("INVITE"), bob)
            answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"))
        for flow in (alice, bob):
            relay.link_down(flow)
        assert relay.sweep(1)
        while relay.sweep(10):
            pass
        assert (len(relay.client_transactions.lingering), alice.served, bob.sent) == (0, {}, {})


@pytest.mark.parametrize(("target", "follows"), [("sip:carol@example.test", ["INVITE"]), ("sip:x@example.test", [])])
@still
@on_loop
async def test_call_that_has_rung_goes_where_the_rules_of_its_callee_say(
    home: Network, monkeypatch: pytest.MonkeyPatch, target: str, follows: list[str]
) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, carol = server.phone(), server.registered("bob"), server.registered("carol")
        relay = server.parts.relays.relay
        proxied = server.core._transactions.begin(server.received(alice, asked("INVITE")))
        handling = CallHandling(BOB, CallRules(no_answer=target, ring_s=20))
        relay.forward(proxied, Forward((to(bob),), ALICE, handling))
        came = written_on(bob)[-1]
        assert isinstance(came, Request)
        answer(server, bob, came, 180)
        begun = relay._clock()
        late: Any = lambda: begun + 21  # noqa: E731 - a clock
        monkeypatch.setattr(relay, "_clock", late)
        while relay.sweep(1):
            pass
        assert methods(bob) == ["INVITE", "CANCEL"]
        assert methods(carol) == follows


def answer_to(invite: Request) -> Response:
    """A 200 with a session description."""
    return respond(invite, 200, headers=[("content-type", SDP)], to_tag="2", body=SDES)


class PlayedRtpengine:
    """What rtpengine was asked for the branches of one server, by *held*; each is answered when a test wants it."""

    def __init__(self, server: StillServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.relay = server.parts.relays.relay
        self.held: list[AwaitedReply] = []
        self.deleted = 0
        bridges = self.relay.calls.bridges
        self.bridge = Bridge("key", Leg.SDES, Leg.SDES, "1", bridges.control)
        monkeypatch.setattr(type(bridges.control), "port", property(lambda _: 1))
        monkeypatch.setattr(type(bridges.control), "ask", self.asked)
        monkeypatch.setattr(type(bridges), "between", lambda *_: self.bridge)
        monkeypatch.setattr(type(bridges), "offer", lambda *given: self.held.append(given[-1]))
        monkeypatch.setattr(type(bridges), "answer", lambda *given: self.held.append(given[-1]))

    def asked(self, *_: object) -> None:
        """The call is ended in rtpengine."""
        self.deleted += 1

    def replies(self, sdp: bytes = SDES, fault: Fault | None = None) -> None:
        """Answer the oldest question."""
        self.held.pop(0).replied(sdp, fault)


@still
@on_loop
async def test_branch_waits_for_rtpengine_and_so_does_its_answer(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dialog that begins is one of its bridge; rtpengine that has lost it ends the call on both sides."""
    async with still_server(home.organisations[0]) as server:
        rtpengine, alice, bob = PlayedRtpengine(server, monkeypatch), server.phone(), server.phone("bob")
        forward(
            server,
            alice,
            with_body(asked("INVITE", BOB, ("contact", "<sip:alice@192.0.2.9;transport=tls>")), SDES),
            to(bob),
        )
        assert methods(bob) == []
        rtpengine.replies()
        [came] = written_on(bob)
        assert isinstance(came, Request)
        rtpengine.relay.responded(bob, answer_to(came))
        assert statuses(alice) == [100]
        rtpengine.replies()
        assert statuses(alice) == [100, 200]
        assert len(rtpengine.relay.calls.bridges) == 1
        lost = [next(iter(rtpengine.relay.calls.bridges._up.values()))]
        monkeypatch.setattr(type(rtpengine.relay.calls.bridges), "lost", lambda *_: lost)
        rtpengine.relay.sweep(1)
        assert (methods(alice), methods(bob)[-1]) == (["BYE"], "BYE")


@still
@on_loop
async def test_branch_that_rtpengine_cannot_carry_is_refused_with_a_reference(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        rtpengine, alice, bob = PlayedRtpengine(server, monkeypatch), server.phone(), server.phone("bob")
        forward(server, alice, with_body(asked("INVITE"), SDES), to(bob))
        rtpengine.replies(b"", Fault("it does not answer"))
        assert (statuses(alice), methods(bob)) == ([100, 500], [])
        [told] = server.core.responder.refusals.newest
        assert told.why == "it does not answer"


@still
@on_loop
async def test_answer_that_rtpengine_cannot_carry_ends_the_call(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        rtpengine, alice, bob = PlayedRtpengine(server, monkeypatch), server.phone(), server.phone("bob")
        forward(server, alice, with_body(asked("INVITE"), SDES), to(bob))
        rtpengine.replies()
        [came] = written_on(bob)
        assert isinstance(came, Request)
        rtpengine.relay.responded(bob, answer_to(came))
        rtpengine.replies(b"", Fault("no such call"))
        assert statuses(alice) == [100, 500]
        assert methods(bob) == ["INVITE", "ACK", "BYE"]


@pytest.mark.parametrize("is_reachable", [True, False])
@still
@on_loop
async def test_branch_that_is_not_sent_leaves_no_call_in_rtpengine(
    home: Network, monkeypatch: pytest.MonkeyPatch, *, is_reachable: bool
) -> None:
    """The phone of the callee has gone meanwhile, or the caller has."""
    async with still_server(home.organisations[0]) as server:
        rtpengine, alice, bob = PlayedRtpengine(server, monkeypatch), server.phone(), server.phone("bob")
        forward(server, alice, with_body(asked("INVITE"), SDES), to(bob))
        if is_reachable:
            [proxied] = alice.served.values()
            rtpengine.relay.cancel(proxied, ())
        else:
            bob.link.close("gone")
            server.parts.relays.removal.link_down(bob, "gone")
        rtpengine.replies()
        assert (methods(bob), rtpengine.deleted) == ([], 1)
        assert statuses(alice)[-1:] == ([487] if is_reachable else [480])


@pytest.mark.parametrize("status", [603, 200])
@still
@on_loop
async def test_token_of_a_screened_call_ends_with_the_call_unless_it_is_accepted(home: Network, status: int) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        screening = Screening(ToUser(BOB, ALICE, is_screened=True), BOT, passes=False, token="t")
        proxied = server.core._transactions.begin(server.received(alice, asked("INVITE")))
        relay.forward(proxied, Forward((to(bob),), ALICE, screening))
        [came] = written_on(bob)
        assert isinstance(came, Request)
        for _ in range(2):
            answer(server, bob, came, status, ("contact", "<sip:bob@192.0.2.9>"))
        assert statuses(alice)[:2] == [100, status]
        assert [use.peer for use in server.state.used_tokens.entries()] == ([] if status == 200 else [BOT])


@still
@on_loop
async def test_call_that_has_not_begun_has_no_further_targets(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob, relay = server.phone(), server.registered("bob"), server.parts.relays.relay
        waiting = server.core._transactions.begin(server.received(alice, asked("INVITE")))
        relay.diverted(waiting, Forward((to(bob),), ALICE))
        relay.not_diverted(waiting, Divert(NOT_DIVERTED), respond(waiting.request, 480))
        assert (statuses(alice), methods(bob)) == ([], [])
