"""An order to trace: what it may name."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.trace_order import TraceOrder

ORDER = TraceOrder("Example", "fe1.example.test", 1, "t1", "alice", bodies=True)


@pytest.mark.parametrize(
    "wrong", [{"what": ""}, {"what": "a" * 257}, {"what": 5}, {"trace": "a" * 257}, {"bodies": "x"}], ids=str
)
def test_what_is_no_order_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RemoteError, match="an order to trace that cannot be read"):
        TraceOrder.decode(json.dumps({**asdict(ORDER), **wrong}).encode())
