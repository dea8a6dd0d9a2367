"""Max-Breadth (RFC 5393): its values, and how targets are split."""

from __future__ import annotations

import pytest

from routing.messages import CONTACT, request
from sipmesh.errors import RemoteError
from sipmesh.routing.proxy.breadth import DEFAULT_BREADTH, breadth_of, narrowed, set_breadth
from sipmesh.routing.target import FlowTarget, Target

A, B, C, D = (FlowTarget(number, b"8 octets", CONTACT) for number in range(4))


@pytest.mark.parametrize(("value", "breadth"), [("0", 0), ("1", 1), ("60", 60), ("007", 7)])
def test_value_of_the_field(value: str, breadth: int) -> None:
    assert breadth_of(request("MESSAGE", "sip:bob@example.test", ("max-breadth", value))) == breadth


def test_request_without_the_field_has_the_recommended_value() -> None:
    assert breadth_of(request("MESSAGE")) == DEFAULT_BREADTH == 60


@pytest.mark.parametrize("value", ["", "-1", "x", "1, 2", str(2**31), "\u0661"])
def test_malformed_value_is_refused(value: str) -> None:
    with pytest.raises(RemoteError):
        breadth_of(request("MESSAGE", "sip:bob@example.test", ("max-breadth", value)))


@pytest.mark.parametrize(
    ("groups", "breadth", "found"),
    [
        ([(A, B, C)], 3, [(A, B, C)]),
        ([(A, B, C)], 2, [(C,), (A, B)]),
        ([(A, B, C)], 1, [(C,), (B,), (A,)]),
        ([(A,), (B, C, D)], 2, [(A,), (D,), (B, C)]),
    ],
)
def test_group_above_the_breadth_is_split(
    groups: list[tuple[Target, ...]], breadth: int, found: list[tuple[Target, ...]]
) -> None:
    """The last group starts first."""
    assert narrowed(groups, breadth) == found


@pytest.mark.parametrize("headers", [[], [("max-breadth", "61")]], ids=["absent", "present"])
@pytest.mark.parametrize("breadth", [1, DEFAULT_BREADTH, DEFAULT_BREADTH + 1])
def test_breadth_is_set_once(headers: list[tuple[str, str]], breadth: int) -> None:
    made = request("MESSAGE", "sip:bob@example.test", *headers)
    set_breadth(made, breadth)
    assert (breadth_of(made), made.count("max-breadth")) == (breadth, 1)
