"""One branch, and the ways to its target."""

from __future__ import annotations

from dataclasses import replace

from routing.messages import BOB, CONTACT
from sipmesh.routing.proxy.branch_attempt import Branch, BranchState, ways_to
from sipmesh.routing.target import FlowTarget, ServerTarget
from sipmesh.trust.evidence import LinkKind

PHONE = FlowTarget(1, b"8 octets", CONTACT)
DESK = replace(PHONE, flow=2)
SERVERS = ServerTarget(("a.test", "b.test"), LinkKind.SERVER, BOB)


def test_the_ways_to_a_name_are_its_servers_in_their_order() -> None:
    assert ways_to(SERVERS) == ((SERVERS, "a.test"), (SERVERS, "b.test"))
    one = replace(SERVERS, names=("a.test",))
    assert ways_to(one) == ((one, "a.test"),)


def test_the_flow_that_is_used_in_place_of_a_server_is_the_last_way() -> None:
    one = replace(SERVERS, names=("a.test",), instead=PHONE)
    assert ways_to(one) == ((one, "a.test"), (PHONE, ""))


def test_the_ways_to_a_device_are_its_flows() -> None:
    spared = replace(PHONE, spares=(DESK,))
    assert ways_to(spared) == ((spared, ""), (DESK, ""))


def test_branch_begins_without_a_response_and_in_time() -> None:
    branch = Branch((PHONE, ""), ((DESK, ""),))
    assert (branch.target, branch.ways) == (PHONE, ((DESK, ""),))
    assert (branch.state, branch.late) == (BranchState.CALLING, False)
