"""An order is refused if it is for another server or of another time: each kind of order."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.call_order import CallAct, CallOrder
from sipmesh.server.replication.order import Order
from sipmesh.server.replication.probe_order import ProbeOrder
from sipmesh.server.replication.trace_order import TraceOrder

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NUMBER = int(NOW.timestamp() * 1000)
VIEW: Any = SimpleNamespace(organisation="Example", name="fe1.example.test")
ORDERS = [
    CallOrder("Example", "fe1.example.test", NUMBER, CallAct.END, ["r1"], "ada"),
    ProbeOrder("Example", "fe1.example.test", NUMBER, 7, ("edge1.example.test",)),
    TraceOrder("Example", "fe1.example.test", NUMBER, "t1", "alice", bodies=True),
]
each_order = pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)


@each_order
def test_order_is_read_as_it_was_written(order: Order) -> None:
    assert type(order).decode(order.encode()) == order
    order.must_be_for(VIEW, NOW + order.LONGEST_AGE)
    order.must_be_for(VIEW, NOW - order.LONGEST_AGE)


@each_order
@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b"[" * 100_000, b'{"number": 1, "number": 2}'], ids=lambda payload: payload[:9]
)
def test_other_octets_are_refused(order: Order, payload: bytes) -> None:
    with pytest.raises(RemoteError, match=f"an order {order.ABOUT} that cannot be read") as refused:
        type(order).decode(payload)
    assert refused.value.status == 488


@each_order
def test_number_that_is_none_is_refused(order: Order) -> None:
    with pytest.raises(RemoteError, match="cannot be read"):
        type(order).decode(json.dumps({**asdict(order), "number": "x"}).encode())


@each_order
@pytest.mark.parametrize("number", [0, 2**63, -(2**63), 10**400])
def test_time_that_is_none_is_refused(order: Order, number: int) -> None:
    with pytest.raises(RemoteError, match=f"an order {order.ABOUT}"):
        replace(order, number=number).must_be_for(VIEW, NOW)


@each_order
@pytest.mark.parametrize("sign", [1, -1])
def test_order_of_another_time_is_refused(order: Order, sign: int) -> None:
    with pytest.raises(RemoteError, match="before or after our clock"):
        order.must_be_for(VIEW, NOW + sign * (order.LONGEST_AGE + timedelta(seconds=1)))


@each_order
@pytest.mark.parametrize("other", [{"name": "fe2.example.test"}, {"organisation": "Other"}], ids=str)
def test_order_for_another_server_is_refused(order: Order, other: dict[str, str]) -> None:
    view: Any = SimpleNamespace(**{**vars(VIEW), **other})
    with pytest.raises(RemoteError, match="an order for fe1"):
        order.must_be_for(view, NOW)
