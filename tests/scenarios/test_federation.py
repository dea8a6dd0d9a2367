"""Two organisations: users of each reach the other's across both edges, and no other traffic crosses the border."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.trust.evidence import LinkKind
from support.managed import links_between
from support.network import (
    EDGE,
    EDGE2,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_FE,
    Network,
    hung_up_by_the_other,
    inside,
    ringing,
    text,
)
from support.peer import Peer
from support.running import on_loop
from support.talking import call_is_taken_back
from support.tiers import wide_after

OURS = "<sip:alice@example.test>;tag=1"


@pytest.mark.parametrize("front_end", [FE1, FE2])
@on_loop
async def test_message_and_answer_cross_both_edges_in_both_directions(federation: Network, front_end: str) -> None:
    async with federation:
        alice, erin = await federation.agent("alice", front_end), await federation.agent("erin", PARTNER_FE)
        for sender, receiver in ((alice, erin), (erin, alice)):
            assert (await sender.message(receiver.party.aor, "hello")).ok
            came = await text(receiver)
            assert (came.sender, came.identity) == (sender.party.aor, sender.party.aor)


@pytest.mark.parametrize("front_end", [FE1, FE2])
@on_loop
@pytest.mark.wide
async def test_calls_cross_both_edges_and_every_request_inside_finds_its_way(
    federation: Network, front_end: str
) -> None:
    async with federation:
        alice, erin = await federation.agent("alice", front_end), await federation.agent("erin", PARTNER_FE)
        for caller, callee in ((alice, erin), (erin, alice)):
            made = await caller.call(callee.party.aor)
            came = await ringing(callee)
            for call in (made, came):
                assert (await inside(call, "INVITE")).status == 200
                assert (await inside(call, "UPDATE")).status == 200
            assert await hung_up_by_the_other(came, made)


@on_loop
async def test_edges_record_route_twice_and_answer_by_the_name_that_partners_know(federation: Network) -> None:
    """RFC 5658: one entry for each side, or the way back would lead to a port where only partners are heard."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await alice.send(alice.request("INVITE", "sip:erin@partner.test"))
        came = await erin.request_in("INVITE")
        hosts = [route.rpartition("@")[2].partition(":")[0] for route in came.values("record-route")]
        ours = [FE1, FE1, EDGE, EDGES]
        assert list(reversed(hosts))[:4] == ours
        assert not [route for route in came.values("record-route") if "lr" not in route]


@on_loop
async def test_call_across_the_border_can_be_taken_back(federation: Network) -> None:
    async with federation:
        await call_is_taken_back(await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE))


@on_loop
async def test_identity_towards_a_partner_is_removed_and_made_again_from_the_checked_from(
    federation: Network,
) -> None:
    async with federation, await partners_edge(federation) as theirs:
        asserting = ("p-asserted-identity", "<sip:erin@partner.test>")
        alice = await federation.phone("alice", FE1)
        await theirs.send(theirs.request("MESSAGE", "sip:alice@example.test", [asserting], sender=erins()))
        came = await alice.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == ["<sip:erin@partner.test>"]
        await alice.reply(came, 200, [("p-asserted-identity", "<sip:alice@example.test>")])
        assert not (await theirs.final()).count("p-asserted-identity")


@pytest.mark.parametrize(
    ("sender", "asserted", "code"),
    wide_after(
        4,
        [
            ("<sip:mallory@evil.test>;tag=1", None, "from-not-allowed"),
            ("<tel:+15551234>;tag=1", None, "from-not-allowed"),
            (OURS, None, "from-not-allowed"),
            ("<sip:erin@partner.test>;tag=1", "<sip:alice@example.test>", "assertion-not-allowed"),
            (
                "<sip:erin@partner.test>;tag=1",
                "<sip:erin@partner.test>, <sips:alice@example.test>",
                "assertion-not-allowed",
            ),
            (OURS, "<sip:erin@partner.test>", "from-not-allowed"),
        ],
    ),
)
@on_loop
async def test_partner_speaks_for_its_own_domain_only(
    federation: Network, sender: str, asserted: str | None, code: str
) -> None:
    async with federation, await partners_edge(federation) as theirs:
        headers = [("p-asserted-identity", asserted)] if asserted else []
        refused = await theirs.ask(theirs.request("MESSAGE", "sip:alice@example.test", headers, sender=sender))
        assert refused.status == 403
        assert federation.nodes[EDGE].refusals.newest[-1].code == code
        rightful = theirs.request("MESSAGE", "sip:alice@example.test", sender=erins())
        assert (await theirs.ask(rightful)).status == 202


@on_loop
async def test_register_over_the_partner_port_is_refused(federation: Network) -> None:
    async with federation, await partners_edge(federation) as theirs:
        for who in ("sip:alice@example.test", "sip:erin@partner.test"):
            register = theirs.request("REGISTER", "sip:example.test", sender=erins(), to=f"<{who}>")
            assert (await theirs.ask(register)).status == 403


@pytest.mark.parametrize(
    ("uri", "route"),
    wide_after(
        3,
        [
            ("sip:bob@other.test", None),
            ("sip:erin@partner.test", None),
            (f"sip:alice@{FE1}", None),
            ("sip:example.test", None),
            ("sip:alice@example.test", f"<sip:{FE1};lr>"),
            ("sip:alice@example.test", f"<sip:{EDGES};lr>, <sip:victim.example.net;lr>"),
        ],
    ),
)
@on_loop
async def test_partner_reaches_our_users_and_nothing_beyond(federation: Network, uri: str, route: str | None) -> None:
    async with federation, await partners_edge(federation) as theirs:
        headers = [("route", route)] if route else []
        assert (await theirs.ask(theirs.request("MESSAGE", uri, headers, sender=erins()))).status == 403


@on_loop
async def test_domain_that_is_no_partner_is_not_found_and_a_blocked_one_refused(federation: Network) -> None:
    async with federation:
        alice = await federation.agent("alice", FE1)
        assert (await alice.message("bob@other.test", "hello")).status == 404
        assert (await alice.message("bob@evil.test", "hello")).status == 403


@on_loop
async def test_partner_that_cannot_be_reached_is_out_of_service_at_once(federation: Network) -> None:
    """Its edge has stopped: the answer comes from ours, not from a timer. What others say of themselves is no 503 of ours."""
    async with federation:
        alice = await federation.agent("alice", FE1)
        await federation.stop(PARTNER_EDGE)
        assert (await alice.message("erin@partner.test", "hello")).status == 500


@on_loop
async def test_third_link_cannot_speak_inside_a_call_across_the_border(federation: Network) -> None:
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        invite = alice.request("INVITE", "sip:erin@partner.test")
        await alice.send(invite)
        await erin.reply(await erin.request_in("INVITE"), 200)
        dialog = Dialog.of_caller(invite, await alice.final())
        carol = await federation.phone("carol", FE2)
        for routes in (dialog.routes, dialog.routes[2:]):
            bye = carol.request("BYE", dialog.target, [("route", ", ".join(routes))], call_id=dialog.call_id)
            assert (await carol.ask(bye)).status == 403
        await erin.silent()


@on_loop
async def test_partner_without_an_edge_is_located_by_srv_and_judged_by_its_domain(federation: Network) -> None:
    example = federation.of(FE1)
    example.federate(EDGES, [federation.of(PARTNER_FE).as_partner()])
    port = federation.address(PARTNER_EDGE, LinkKind.PARTNER)[1]
    federation.dns.records["_sipfederationtls._tcp.partner.test", "SRV"] = [f"0 0 {port} gate.partner.test."]
    federation.dns.records["gate.partner.test", "A"] = ["127.0.0.1"]
    async with federation:
        alice, erin = await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE)
        for caller, callee in ((alice, erin), (erin, alice)):
            made = await caller.call(callee.party.aor)
            assert await hung_up_by_the_other(await ringing(callee), made)
        opened = [link for link in federation.nodes[EDGE].pool.all() if link.kind is LinkKind.PARTNER]
        assert {link.peer_name for link in opened} == {PARTNER}


@pytest.mark.parametrize("networks", [[], ["10.0.0.0/8"], ["127.0.0.0/8"]])
@pytest.mark.parametrize("by_srv", [True, False])
@on_loop
async def test_dns_of_a_partner_leads_no_server_to_itself(
    federation: Network, networks: list[str], *, by_srv: bool
) -> None:
    """Neither by SRV nor by the name of its edge. The control names the network in the topology, and the server connects."""
    example = federation.of(FE1)
    heard: list[str] = []

    def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append("connected")
        writer.close()

    victim = await asyncio.start_server(accepted, "127.0.0.1")
    port = victim.sockets[0].getsockname()[1]
    edge = {} if by_srv else {"edge": f"gate.partner.test:{port}"}
    example.federate(EDGES, [federation.of(PARTNER_FE).as_partner(**edge)], networks=tuple(networks))
    federation.dns.records["_sipfederationtls._tcp.partner.test", "SRV"] = [f"0 0 {port} gate.partner.test."]
    federation.dns.records["gate.partner.test", "A"] = ["127.0.0.1"]
    async with victim, federation:
        alice = await federation.phone("alice", FE1)
        assert (await alice.ask(alice.request("MESSAGE", "sip:erin@partner.test"))).status >= 500
        is_named = "127.0.0.0/8" in networks
        assert bool(heard) is is_named
        told = [line for line in federation.told[EDGE].lines if "federation.networks" in str(line)]
        assert bool(told) is not is_named


@on_loop
@pytest.mark.wide
async def test_a_hundred_messages_in_each_direction_cross_at_once(federation: Network) -> None:
    async with federation:
        alice, erin = await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE)
        there = [alice.message("erin@partner.test", str(n)) for n in range(100)]
        back = [erin.message("alice@example.test", str(n)) for n in range(100)]
        assert all(outcome.ok for outcome in await asyncio.gather(*there, *back))


async def partners_edge(federation: Network) -> Peer:
    """A link to the partner port of our edge, with the valid credentials of the partner's edge."""
    return await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)


def erins() -> str:
    return "<sip:erin@partner.test>;tag=1"


@on_loop
async def test_partner_comes_past_an_edge_that_drains(two_edges: Network) -> None:
    """Its links stay while something is under way, and it refuses all that is new with 503 (RFC 3263 section 4.3)."""
    async with two_edges:
        alice, erin = await two_edges.agent("alice", FE1), await two_edges.agent("erin", PARTNER_FE)
        partner, edges = two_edges.nodes[PARTNER_EDGE], [two_edges.nodes[edge] for edge in (EDGE, EDGE2)]
        assert (await erin.message("sip:alice@example.test", "before")).status == 200
        [first] = links_between(partner, EXAMPLE)
        assert first.remote == two_edges.address(EDGE, LinkKind.PARTNER)
        edges[0].listening.close()
        edges[0].core.drain()
        for word in ("through", "the other"):
            assert (await erin.message("sip:alice@example.test", word)).status == 200
        assert [(await text(alice)).body for _ in range(3)] == [b"before", b"through", b"the other"]
        assert first.usable
        _, other = links_between(partner, EXAMPLE)
        assert other.remote == two_edges.address(EDGE2, LinkKind.PARTNER)
        edges[1].listening.close()
        edges[1].core.drain()
        assert (await erin.message("sip:alice@example.test", "nobody")).status == 500
