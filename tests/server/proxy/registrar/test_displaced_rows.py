"""A row that another server has replaced counts again only if nothing explains why that row is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.server.proxy.registrar.displaced_rows import DisplacedRows
from sipmesh.storage.location_service.locations import StoredRows
from storage.members import ALICE, BOB, ELSEWHERE, PHONE

NOW = 1_000.0
OURS = replace(PHONE, expires_at=NOW + 600)
NAME = OURS.key.name


def aside() -> DisplacedRows:
    """One row of alice."""
    rows = DisplacedRows()
    rows.add(OURS)
    return rows


def stored(*removed: str) -> StoredRows:
    """A store without rows."""
    return StoredRows((), 1, removed=frozenset(removed))


def test_row_comes_back_once_the_row_in_its_place_is_gone() -> None:
    rows = aside()
    assert rows.come_back(ALICE, stored(), [ELSEWHERE], NOW) == []
    assert rows.come_back(BOB, stored(), [], NOW) == []
    assert rows.come_back(ALICE, stored("another"), [], NOW) == [OURS]
    assert rows.come_back(ALICE, stored(), [], NOW) == []
    assert ALICE not in rows


@pytest.mark.parametrize(("removed", "now"), [((NAME,), NOW), ((), NOW + 600)])
def test_row_that_a_register_has_removed_or_that_has_expired_never_comes_back(
    removed: tuple[str, ...], now: float
) -> None:
    rows = aside()
    assert rows.come_back(ALICE, stored(*removed), [], now) == []
    assert rows.come_back(ALICE, stored(), [], NOW) == []


def test_row_ends_with_its_flow_and_with_a_change_of_its_device_here() -> None:
    rows = aside()
    rows.close_flow(ALICE, OURS.flow + 1)
    rows.close_flow(BOB, OURS.flow)
    rows.discard(BOB, {OURS.key})
    assert ALICE in rows
    rows.close_flow(ALICE, OURS.flow)
    assert ALICE not in rows
    rows = aside()
    rows.discard(ALICE, {OURS.key})
    assert ALICE not in rows


def test_device_has_one_row_aside() -> None:
    rows, later = aside(), replace(OURS, token="later")
    rows.add(later)
    assert rows.come_back(ALICE, stored(), [], NOW) == [later]
