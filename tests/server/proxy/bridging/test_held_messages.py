"""Responses that wait for rtpengine keep their order, and their number is bounded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request, response
from sipmesh.cli.versions import built
from sipmesh.server.proxy.bridging.held_messages import MOST_HELD, HeldResponses, HeldTable
from sipmesh.server.proxy.rtpengine.control_socket import Fault
from sipmesh.sip.message import Response
from support.descriptions import SDES, put_body

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")


class Branch:
    """Stands for a branch that was sent."""

    def __init__(self, bridge: object) -> None:
        self.bridge, self.request, self.branch = bridge, request("INVITE"), "b"
        self.flow = SimpleNamespace(sent={"b": 1})


class World:
    """A branch, with what was asked of rtpengine, and what has gone on."""

    def __init__(self) -> None:
        self.asked: list[Response] = []
        self.went_on: list[tuple[int, bytes, Fault | None]] = []
        self.ended = 0
        relay: Any = SimpleNamespace(answered=self._answered)
        bridges: Any = SimpleNamespace(
            answer=lambda _bridge, _request, answer, _held: self.asked.append(answer),
            early=lambda _sent, _response: None,
            tell=lambda _sent, _response: None,
        )
        bridge = SimpleNamespace(branch_ended=self._ended)
        sent: Any = Branch(bridge)
        self.table = HeldTable(relay, bridges)
        self.sent, self.held = sent, HeldResponses(relay, bridges, sent, self.table)

    def _answered(self, _sent: object, answer: Response, fault: Fault | None) -> None:
        self.went_on.append((answer.status, answer.body, fault))

    def _ended(self) -> None:
        self.ended += 1


def with_answer(status: int) -> Response:
    found = response(status)
    put_body(found, SDES)
    return found


def test_response_without_an_answer_is_not_held() -> None:
    world = World()
    assert not world.held.add(response(180))
    assert not world.held.add(response(486))
    assert (world.asked, world.ended) == ([], 1)


def test_later_responses_wait_for_the_first_one() -> None:
    world = World()
    assert all(world.held.add(one) for one in (with_answer(183), response(180), with_answer(200)))
    assert [one.status for one in world.asked] == [183]
    world.held.replied(b"first", None)
    assert [one.status for one in world.asked] == [183, 200]
    world.held.replied(b"second", None)
    assert world.went_on == [(183, b"first", None), (180, b"", None), (200, b"second", None)]
    assert not world.table.of_branches


def test_fault_goes_on_with_the_answer_as_it_was() -> None:
    world = World()
    world.held.add(with_answer(200))
    world.held.replied(b"", Fault("away"))
    assert world.went_on == [(200, SDES, Fault("away"))]


def test_number_of_held_responses_is_bounded_and_the_final_one_is_kept() -> None:
    world = World()
    for _ in range(2 * MOST_HELD):
        world.held.add(with_answer(183))
    world.held.add(response(486))
    while world.went_on[-1:] != [(486, b"", None)]:
        world.held.replied(b"v=0", None)
    assert (len(world.went_on), world.ended) == (MOST_HELD, 1)


def test_nothing_goes_on_once_the_branch_is_forgotten() -> None:
    world = World()
    world.held.add(with_answer(200))
    world.sent.flow.sent.clear()
    world.held.replied(b"v=0", None)
    assert world.went_on == []
