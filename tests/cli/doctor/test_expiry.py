"""What expires, in two parts: what is so, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.expiry import expiry_checks
from sipmesh.topology.expiry.inventory import Inventory
from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.topology.expiry.validity import DatedItem

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def entry(level: Urgency, left: timedelta, **more: object) -> InventoryEntry:
    """A certificate with so much time *left*."""
    item = DatedItem("CN=fe1.example.com", "ab", "", "", NOON - timedelta(days=20), NOON + left)
    stops, command = "no link is accepted", "sipmesh ca issue fe1.example.com"
    return InventoryEntry(ExpiringKind.SERVER, "fe1.example.com", "", level, stops, command, on_disk=item, **more)  # type: ignore[arg-type]


def test_certificate_that_has_ended_is_a_fault_with_its_command() -> None:
    [check] = expiry_checks(Inventory(NOON, (entry(Urgency.PAST, -timedelta(days=1)),), None))
    assert check.state is State.BAD
    assert check.told.startswith("the certificate of fe1.example.com expired 1 d")
    assert check.remedy == "sipmesh ca issue fe1.example.com"


def test_certificate_with_two_weeks_is_a_warning_and_one_with_more_is_good() -> None:
    [near] = expiry_checks(Inventory(NOON, (entry(Urgency.DAYS_14, timedelta(days=10)),), None))
    [fine] = expiry_checks(Inventory(NOON, (entry(Urgency.FINE, timedelta(days=29)),), None))
    assert (near.state, fine.state) == (State.WARNING, State.GOOD)
    assert near.remedy == "sipmesh ca issue fe1.example.com"


def test_item_that_cannot_be_used_is_reported_with_its_own_note() -> None:
    [check] = expiry_checks(
        Inventory(NOON, (entry(Urgency.FINE, timedelta(days=29), broken=True, note="is no PEM"),), None)
    )
    assert check.state is State.BAD
    assert "is no PEM" in check.told
    assert check.remedy == "sipmesh ca issue fe1.example.com"
