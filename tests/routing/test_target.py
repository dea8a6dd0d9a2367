"""Where a request may go next: a flow or names, with what comes instead."""

from __future__ import annotations

import pytest

from routing.messages import BOB, FE2, row
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target, server_of
from sipmesh.trust.evidence import LinkKind


def test_flow_that_a_row_led_to_is_the_usual_one() -> None:
    target = FlowTarget(42, b"owner", BOB)
    assert (target.q, target.found, target.spares, target.past) == (1.0, Found.ROW, (), 0)


def test_flow_on_another_server_has_the_preference_of_its_row() -> None:
    binding = row(server=FE2, q=0.3)
    assert RemoteFlowTarget(binding, BOB).q == 0.3


def test_targets_are_equal_by_what_they_lead_to() -> None:
    flow = FlowTarget(42, b"owner", BOB)
    assert ServerTarget((FE2,), LinkKind.SERVER, BOB, instead=flow) == ServerTarget(
        (FE2,), LinkKind.SERVER, BOB, 1.0, FlowTarget(42, b"owner", BOB)
    )
    assert FlowTarget(42, b"owner", BOB) != FlowTarget(42, b"another", BOB)


@pytest.mark.parametrize(
    ("target", "server"),
    [
        (FlowTarget(42, b"owner", BOB), ""),
        (RemoteFlowTarget(row(server=FE2), BOB), FE2),
        (ServerTarget((FE2,), LinkKind.SERVER, BOB), FE2),
        (ServerTarget((FE2,), LinkKind.PARTNER, BOB), ""),
    ],
)
def test_branch_goes_to_a_server_of_ours_or_to_none(target: Target, server: str) -> None:
    assert server_of(target, FE2) == server
