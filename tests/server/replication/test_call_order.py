"""An order about calls: read as it was written, and refused if it is for another server or of another time."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.call_order import LONGEST_AGE, MOST_NAMES, CallAct, CallOrder

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ORDER = CallOrder("Example", "fe1.example.test", int(NOW.timestamp() * 1000), CallAct.END, ["r1"], "ada")
VIEW: Any = SimpleNamespace(organisation="Example", name="fe1.example.test")


def test_order_is_read_as_it_was_written() -> None:
    assert CallOrder.decode(ORDER.encode()) == ORDER
    ORDER.must_be_for(VIEW, NOW + LONGEST_AGE)
    ORDER.must_be_for(VIEW, NOW - LONGEST_AGE)


@pytest.mark.parametrize(("names", "is_read"), [(MOST_NAMES, True), (MOST_NAMES + 1, False), (0, False)])
def test_names_of_an_order_are_bounded(names: int, *, is_read: bool) -> None:
    payload = json.dumps({**asdict(ORDER), "act": "erase", "what": ["a"] * names}).encode()
    if is_read:
        assert len(CallOrder.decode(payload).what) == names
    else:
        with pytest.raises(RemoteError, match="that cannot be read"):
            CallOrder.decode(payload)


@pytest.mark.parametrize(
    "wrong",
    [{"act": "begin"}, {"what": "r1"}, {"what": [""]}, {"what": ["a" * 257]}, {"number": "x"}, {"who": 5}],
    ids=str,
)
def test_what_is_no_order_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RemoteError, match="that cannot be read") as refused:
        CallOrder.decode(json.dumps({**asdict(ORDER), **wrong}).encode())
    assert refused.value.status == 488


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"[" * 100_000])
def test_other_json_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError, match="that cannot be read"):
        CallOrder.decode(payload)


@pytest.mark.parametrize("number", [0, 2**63, -(2**63), 10**400])
def test_time_that_is_none_is_refused(number: int) -> None:
    with pytest.raises(RemoteError, match="an order about calls"):
        CallOrder("Example", "fe1.example.test", number, CallAct.END, ["r1"], "ada").must_be_for(VIEW, NOW)


@pytest.mark.parametrize("away", [timedelta(minutes=1, seconds=1), timedelta(minutes=-1, seconds=-1)])
def test_order_of_another_time_is_refused(away: timedelta) -> None:
    with pytest.raises(RemoteError, match="before or after our clock"):
        ORDER.must_be_for(VIEW, NOW + away)


@pytest.mark.parametrize("other", [{"name": "fe2.example.test"}, {"organisation": "Other"}], ids=str)
def test_order_for_another_server_is_refused(other: dict[str, str]) -> None:
    view: Any = SimpleNamespace(**{"organisation": "Example", "name": "fe1.example.test", **other})
    with pytest.raises(RemoteError, match="an order for"):
        ORDER.must_be_for(view, NOW)
