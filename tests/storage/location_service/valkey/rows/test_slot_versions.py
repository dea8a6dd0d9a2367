from __future__ import annotations

from sipmesh.storage.location_service.valkey.rows.slot_versions import SlotVersions
from sipmesh.storage.location_service.version_table import SLOTS, slot_of
from storage.members import ALICE, BOB


def test_change_of_one_user_gives_its_slot_another_version() -> None:
    versions = SlotVersions()
    before = versions.of(ALICE), versions.of(BOB)
    versions.mark(ALICE)
    assert versions.of(ALICE) != before[0]
    assert versions.of(BOB) == before[1]
    assert versions.values[slot_of(ALICE)] == versions.of(ALICE)


def test_all_slots_get_a_version_that_none_has_had() -> None:
    versions = SlotVersions()
    versions.mark(ALICE)
    before = set(versions.values)
    values = versions.values
    versions.mark_all()
    assert values is versions.values
    assert len(values) == SLOTS
    assert len(set(values)) == 1
    assert not before & set(values)
