"""The parameters of operations: bounds, and numbers that come as text."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.server.console.parameters import Given, Lines, NewUser, ToAwait, ToRevoke, UserName, typed
from sipmesh.typed_json import UnreadableJsonError, read


def test_text_of_a_number_becomes_a_number_and_other_text_stays() -> None:
    assert typed(ToAwait, {"version": "3", "wait_s": "x"}) == {"version": 3, "wait_s": "x"}
    assert typed(Lines, {"before": "9" * 40}) == {"before": "9" * 40}
    assert typed(UserName, {"user": "42"}) == {"user": "42"}


@pytest.mark.parametrize(
    ("given", "values", "beyond"),
    [
        (Lines, {"before": 2**53}, {"before": 2**53 + 1}),
        (ToAwait, {"version": 1, "wait_s": 20}, {"version": 1, "wait_s": 21}),
        (UserName, {"user": "a" * 320}, {"user": "a" * 321}),
        (NewUser, {"user": "a", "password": "p" * 256}, {"user": "a", "password": "p" * 257}),
        (NewUser, {"user": "a", "password": "p"}, {"user": "a", "password": ""}),
        (UserName, {"user": "a"}, {"user": "a", "who": "ada"}),
        (ToRevoke, {"serial": "0f" * 20}, {"serial": "0f" * 20 + "0"}),
        (ToRevoke, {"serial": "0F:" * 19 + "0F"}, {"serial": "0F::0F"}),
    ],
)
def test_parameter_at_its_bound_is_read_and_one_beyond_it_is_refused(
    given: type[Given], values: dict[str, Any], beyond: dict[str, Any]
) -> None:
    assert read(given, values)
    with pytest.raises(UnreadableJsonError):
        read(given, beyond)
