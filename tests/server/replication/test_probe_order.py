"""An order to probe links: its form, how many links it may have, and how old it may be."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.probe_order import LONGEST_AGE, MOST_TARGETS, ProbeOrder

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ORDER = ProbeOrder("Example", "fe1.example.test", 7, int(NOON.timestamp() * 1000), ("edge1.example.test",))


def test_order_comes_back_as_it_was() -> None:
    assert ProbeOrder.decode(ORDER.encode()) == ORDER


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"targets": 1}', b'{"targets": ["a"], "version": "x"}'])
def test_other_octets_are_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError, match="cannot be read"):
        ProbeOrder.decode(payload)


def test_order_has_a_limited_number_of_links() -> None:
    most = replace(ORDER, targets=("a.test",) * MOST_TARGETS)
    assert ProbeOrder.decode(most.encode()) == most
    with pytest.raises(RemoteError, match=f"{MOST_TARGETS + 1} links"):
        ProbeOrder.decode(replace(most, targets=(*most.targets, "b.test")).encode())


def test_old_and_future_orders_are_refused() -> None:
    for age in (LONGEST_AGE, -LONGEST_AGE):
        ORDER.must_be_recent(NOON + age)
    for age in (LONGEST_AGE + timedelta(seconds=1), -LONGEST_AGE - timedelta(seconds=1)):
        with pytest.raises(RemoteError, match="301 s before or after our clock"):
            ORDER.must_be_recent(NOON + age)
    endless = json.loads(ORDER.encode()) | {"number": 10**30}
    with pytest.raises(RemoteError, match="without a time"):
        ProbeOrder.decode(json.dumps(endless).encode()).must_be_recent(NOON)
