"""A call of a group at one server: who may ring, and whose rights count."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.call_rules.call_rules import CallRules, GroupOrder
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.server.proxy.serving.call_groups import ring_group, rings_for_group
from sipmesh.sip.message import Request
from support.call_rules import group
from support.network import FE1, FE3, POOL, Network
from support.running import on_loop
from support.still_server import StillServer, asked, still_server

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB, SALES = "sip:alice@example.test", "sip:bob@example.test", "sip:sales@example.test"
RULES = CallRules(order=GroupOrder.IN_TURN, members=(ALICE, BOB, "sip:gone@example.test"), ring_s=60, member_s=15)


def rung(server: StillServer, request: Request, rules: CallRules = RULES, outcome: ToUser | None = None) -> object:
    sender = server.phone().sender
    assert sender is not None
    state, in_force = server.state, server.parts.setup.current.value
    return ring_group(state, in_force, sender, request, outcome or ToUser(SALES, ALICE), rules, 0.0)


@on_loop
async def test_members_who_are_no_users_any_more_are_left_out(example: Organisation) -> None:
    async with still_server(example, FE1) as server:
        server.registered("alice")
        server.registered("bob")
        found = rung(server, asked("INVITE", SALES))
        assert isinstance(found, Forward)
        assert isinstance(found.otherwise, CallHandling)
        assert (found.targets, found.otherwise.steps) == ((), ((ALICE,), (BOB,)))


@pytest.mark.parametrize(
    ("method", "header", "status"), [("MESSAGE", "", 405), ("SUBSCRIBE", "", 405), ("INVITE", "replaces", 481)]
)
@on_loop
async def test_group_takes_new_calls_only(example: Organisation, method: str, header: str, status: int) -> None:
    async with still_server(example, FE1) as server:
        request = asked(method, SALES)
        if header:
            request.append(header, "x;to-tag=1;from-tag=2")
        found = rung(server, request)
        assert isinstance(found, Answer)
        assert found.status == status


@on_loop
async def test_group_rings_beside_no_user_and_in_no_group(example: Organisation) -> None:
    async with still_server(example, FE1) as server:
        server.registered("alice")
        for reason, kind in ((Reason.FOLLOW_ME, Answer), (Reason.HUNT_GROUP, Answer), (Reason.UNCONDITIONAL, Forward)):
            chain = (Diversion(BOB, SALES, reason),)
            assert isinstance(rung(server, asked("INVITE", BOB), outcome=ToUser(SALES, ALICE, chain=chain)), kind)


@on_loop
async def test_history_counts_for_members_and_from_our_front_ends(two_pools: Network) -> None:
    """From a phone or a partner, a user's rules count: no sender keeps a call from a mailbox by a header field."""
    example = two_pools.organisations[0]
    await group(two_pools, "sales", "bob", pool=POOL)
    async with still_server(example, FE3) as server:
        in_force, ours, phone = server.parts.setup.current.value, server.server(FE1).sender, server.phone().sender
        assert ours is not None
        assert phone is not None
        request = asked("INVITE", BOB)
        assert not rings_for_group(in_force, ours, request, BOB)
        for entry in (f"<{SALES}>;index=1", f"<{BOB};cause=302>;index=1.1;mp=1"):
            request.append("history-info", entry)
        assert rings_for_group(in_force, ours, request, BOB)
        assert not rings_for_group(in_force, ours, request, ALICE)
        assert not rings_for_group(in_force, phone, request, BOB)
