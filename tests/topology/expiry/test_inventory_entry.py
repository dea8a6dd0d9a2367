"""One thing that expires, in a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.urgency import Urgency
from topology.expiry.test_inventory import DAY, ISSUING
from topology.world import NOON

ENTRY = InventoryEntry(
    ExpiringKind.SERVER, "fe1.example.test", "Example", Urgency.FINE, "phones refuse it", "sipmesh ca issue X", ISSUING
)


def test_item_in_use_goes_before_that_on_disk() -> None:
    waiting = replace(ISSUING, number="c")
    assert replace(ENTRY, on_disk=waiting).item == ISSUING
    assert replace(ENTRY, in_use=None, on_disk=waiting).item == waiting


def test_entry_that_will_expire_says_what_stops_and_how_to_renew_it() -> None:
    told = ENTRY.sentence(NOON)
    assert told.startswith("the certificate of fe1.example.test expires in ")
    assert told.endswith("; then phones refuse it; to renew it: sipmesh ca issue X")


@pytest.mark.parametrize("entry", [replace(ENTRY, broken=True), replace(ENTRY, in_use=None)])
def test_entry_that_cannot_be_used_says_why(entry: InventoryEntry) -> None:
    assert replace(entry, note="it has no key").sentence(NOON) == "the certificate of fe1.example.test: it has no key"


def test_certificate_that_is_not_valid_yet_points_to_the_clocks() -> None:
    ahead = replace(ENTRY, in_use=replace(ISSUING, begins=NOON + DAY))
    assert "is valid only in 1 d" in ahead.sentence(NOON)
    assert "correct the clocks" in ahead.sentence(NOON)


@pytest.mark.parametrize(("level", "told"), [(Urgency.PAST, "has expired"), (Urgency.FINE, "more")])
def test_source_is_reported_by_the_end_of_its_data(level: Urgency, told: str) -> None:
    source = replace(ENTRY, what=ExpiringKind.SOURCE, name="http://crl.test/", level=level)
    assert source.sentence(NOON).startswith("the data of the source http://crl.test/ ")
    assert told in source.sentence(NOON)


def test_crl_that_is_overdue_is_reported_though_it_is_valid() -> None:
    old = replace(ENTRY, what=ExpiringKind.LIST, old=True)
    assert "a new CRL is due each day" in old.sentence(NOON)


def test_entry_that_has_expired_is_corrected() -> None:
    past = replace(ENTRY, level=Urgency.PAST)
    assert "expired 1 d ago" in past.sentence(ISSUING.ends + DAY)
    assert past.sentence(ISSUING.ends + DAY).endswith("to correct it: sipmesh ca issue X")


@pytest.mark.parametrize(
    ("entry", "urgent"),
    [(ENTRY, False), (replace(ENTRY, broken=True), True), (replace(ENTRY, level=Urgency.PAST), True)],
)
def test_broken_and_urgent_entries_raise_an_alarm(entry: InventoryEntry, *, urgent: bool) -> None:
    assert entry.urgent is urgent
