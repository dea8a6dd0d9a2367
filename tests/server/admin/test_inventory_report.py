"""The inventory as plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sipmesh.server.admin.inventory_report import EntryReport, InventoryReport
from sipmesh.topology.expiry.countdown import Countdown
from sipmesh.topology.expiry.inventory import Inventory
from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.topology.expiry.validity import DatedItem

NOON, DAY = datetime(2026, 6, 1, 12, tzinfo=UTC), timedelta(days=1)
ITEM = DatedItem("CN=fe1", "CN=issuing", "bad", "mark", NOON - DAY, NOON + DAY)
ENTRY = InventoryEntry(ExpiringKind.SERVER, "fe1.example.test", "Example", Urgency.DAY_1, "calls", "sipmesh ca issue")


def test_entry_that_no_server_and_no_file_has_does_not_end() -> None:
    report = EntryReport.of(ENTRY, NOON)
    assert (report.in_use, report.on_disk, report.ends, report.left_s) == (None, None, None, None)
    used = EntryReport.of(replace(ENTRY, in_use=ITEM), NOON + 2 * DAY)
    assert (used.ends, used.left_s, used.level) == (NOON + DAY, -86_400, Urgency.DAY_1.word)


def test_inventory_names_the_worst_level_and_the_first_server_to_stop() -> None:
    countdown = Countdown("fe1.example.test", NOON + DAY, "its certificate", ("fe2.example.test",))
    report = InventoryReport.of(Inventory(NOON, (ENTRY,), countdown))
    assert (report.worst, report.urgent, len(report.entries)) == (Urgency.DAY_1.word, True, 1)
    assert report.countdown is not None
    assert (report.countdown.left_s, report.countdown.others) == (86_400, ("fe2.example.test",))
    empty = InventoryReport.of(Inventory(NOON, (), None))
    assert (empty.worst, empty.urgent, empty.countdown) == (Urgency.FINE.word, False, None)
