"""An order to trace: read as it was written, and refused if it is for another server or of another time."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.trace_order import LONGEST_AGE, TraceOrder

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ORDER = TraceOrder("Example", "fe1.example.test", int(NOW.timestamp() * 1000), "t1", "alice", bodies=True)
VIEW: Any = SimpleNamespace(organisation="Example", name="fe1.example.test")


def test_order_is_read_as_it_was_written() -> None:
    assert TraceOrder.decode(ORDER.encode()) == ORDER
    ORDER.must_be_for(VIEW, NOW + LONGEST_AGE)
    ORDER.must_be_for(VIEW, NOW - LONGEST_AGE)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"{}",
        *(
            json.dumps({**asdict(ORDER), key: value}).encode()
            for key, value in (
                ("what", ""),
                ("what", "a" * 257),
                ("what", 5),
                ("trace", "a" * 257),
                ("number", "x"),
                ("bodies", "x"),
            )
        ),
    ],
    ids=lambda payload: payload[:60],
)
def test_what_is_no_order_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError, match="an order to trace") as refused:
        TraceOrder.decode(payload)
    assert refused.value.status == 488


@pytest.mark.parametrize("number", [0, 2**63, -(2**63), 10**400])
def test_time_that_is_none_is_refused(number: int) -> None:
    with pytest.raises(RemoteError, match="an order to trace"):
        TraceOrder("Example", "fe1.example.test", number, "t1", "alice").must_be_for(VIEW, NOW)


@pytest.mark.parametrize("away", [timedelta(minutes=1, seconds=1), timedelta(minutes=-1, seconds=-1)])
def test_order_of_another_time_is_refused(away: timedelta) -> None:
    with pytest.raises(RemoteError, match="before or after our clock"):
        ORDER.must_be_for(VIEW, NOW + away)


@pytest.mark.parametrize("other", [{"organisation": "Other"}, {"name": "fe2.example.test"}])
def test_order_for_another_server_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(RemoteError, match="an order for fe1"):
        ORDER.must_be_for(SimpleNamespace(**{**vars(VIEW), **other}), NOW)  # type: ignore[arg-type]
