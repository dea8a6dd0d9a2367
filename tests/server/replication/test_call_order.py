"""An order about calls: what it may name."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.call_order import MOST_NAMES, CallAct, CallOrder

ORDER = CallOrder("Example", "fe1.example.test", 1, CallAct.END, ["r1"], "ada")


@pytest.mark.parametrize(("names", "is_read"), [(MOST_NAMES, True), (MOST_NAMES + 1, False), (0, False)])
def test_names_of_an_order_are_bounded(names: int, *, is_read: bool) -> None:
    payload = json.dumps({**asdict(ORDER), "act": "erase", "what": ["a"] * names}).encode()
    if is_read:
        assert len(CallOrder.decode(payload).what) == names
    else:
        with pytest.raises(RemoteError, match="that cannot be read"):
            CallOrder.decode(payload)


@pytest.mark.parametrize(
    "wrong", [{"act": "begin"}, {"what": "r1"}, {"what": [""]}, {"what": ["a" * 257]}, {"who": 5}], ids=str
)
def test_what_is_no_order_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RemoteError, match="that cannot be read"):
        CallOrder.decode(json.dumps({**asdict(ORDER), **wrong}).encode())
