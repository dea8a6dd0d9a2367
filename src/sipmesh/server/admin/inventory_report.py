"""The inventory of what expires, as plain values: `sipmesh ca inventory --json` and the console show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from sipmesh.topology.expiry.validity import DatedItem

if TYPE_CHECKING:
    from sipmesh.topology.expiry.countdown import Countdown
    from sipmesh.topology.expiry.inventory import Inventory
    from sipmesh.topology.expiry.inventory_entry import InventoryEntry


@dataclass(frozen=True, slots=True)
class CountdownReport:
    """The first server that stops working and when: *because* names the item that expires, *left_s* is in seconds."""

    server: str
    ends: datetime
    left_s: int
    because: str
    others: tuple[str, ...]

    @classmethod
    def of(cls, countdown: Countdown, at: datetime) -> Self:
        """Report a countdown at the instant *at*."""
        left_s = int((countdown.ends - at).total_seconds())
        return cls(countdown.server, countdown.ends, left_s, countdown.because, tuple(countdown.others))


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One item that expires: *in_use* is what a running server uses, *on_disk* what its file contains, None if unknown.

    *left_s* is in seconds, negative after the end. *stops* says what stops working then, and *command* is the remedy.
    """

    what: str
    name: str
    owner: str
    for_partners: bool
    in_use: DatedItem | None
    on_disk: DatedItem | None
    ends: datetime | None
    left_s: int | None
    level: str
    broken: bool
    old: bool
    stops: str
    command: str
    note: str

    @classmethod
    def of(cls, entry: InventoryEntry, at: datetime) -> Self:
        """Report an entry of the inventory at the instant *at*."""
        item = entry.item
        return cls(
            what=str(entry.what),
            name=entry.name,
            owner=entry.owner,
            for_partners=entry.outside,
            in_use=entry.in_use,
            on_disk=entry.on_disk,
            ends=item.ends if item else None,
            left_s=int((item.ends - at).total_seconds()) if item else None,
            level=entry.level.word,
            broken=entry.broken,
            old=entry.old,
            stops=entry.stops,
            command=entry.command,
            note=entry.notice,
        )


@dataclass(frozen=True, slots=True)
class InventoryReport:
    """Everything that expires, the first end first, at the instant *at*; *worst* is the most urgent level of all entries."""

    at: datetime
    worst: str
    urgent: bool
    countdown: CountdownReport | None
    entries: tuple[EntryReport, ...]

    @classmethod
    def of(cls, stock: Inventory) -> Self:
        """Report the whole inventory."""
        countdown = CountdownReport.of(stock.countdown, stock.at) if stock.countdown else None
        entries = [EntryReport.of(entry, stock.at) for entry in stock.entries]
        entries.sort(key=lambda entry: (entry.ends is None, entry.ends or stock.at))
        return cls(stock.at, stock.worst.word, stock.urgent, countdown, tuple(entries))
