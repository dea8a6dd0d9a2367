"""The status of a source as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.validity import DatedItem

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HELD = DatedItem("CN=a", "CN=a", "7", "7 of noon", NOON, NOON + timedelta(days=7))


@pytest.mark.parametrize(
    "supply",
    [
        FetchStatus("http://crl.test/", "partner.test", HELD),
        FetchStatus("http://crl.test/", "", None, NOON, "answers 404", alarming=True),
    ],
)
def test_supply_comes_back_from_json_as_it_was(supply: FetchStatus) -> None:
    assert FetchStatus.from_json(supply.to_json()) == supply
