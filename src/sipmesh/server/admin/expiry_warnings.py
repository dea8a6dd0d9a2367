"""Warnings about certificates and CRLs that expire: at the start, once a day, and at each step of urgency."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sipmesh.server.certificates.expiring_files import on_disk, signers_on_disk
from sipmesh.topology.expiry.inventory import take_stock
from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.trust.formatting import tell_span, tell_time
from sipmesh.trust.role import BORDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.expiry.inventory import Inventory

AGAIN = timedelta(days=1)
"""The time after which the same warning is repeated."""

Key = tuple[ExpiringKind, str, bool, str]


class ExpiryWarnings:
    """The warnings that were given: each step of an item is warned about once, and again each day."""

    def __init__(self) -> None:
        self._given: dict[Key, tuple[Urgency, datetime]] = {}

    def due(self, stock: Inventory) -> list[InventoryEntry]:
        """Return the entries that need a warning now, and forget the entries that were renewed."""
        urgent = {_key(entry): entry for entry in stock.entries if entry.level or entry.broken or entry.old}
        self._given = {key: given for key, given in self._given.items() if key in urgent}
        due = [entry for key, entry in urgent.items() if self._is_due(key, entry, stock.at)]
        self._given.update({_key(entry): (entry.level, stock.at) for entry in due})
        return due

    def _is_due(self, key: Key, entry: InventoryEntry, at: datetime) -> bool:
        given = self._given.get(key)
        return given is None or given[0] is not entry.level or at - given[1] >= AGAIN


def _key(entry: InventoryEntry) -> Key:
    return entry.what, entry.name, entry.outside, entry.item.mark if entry.item else ""


def stock_of(node: RunningServer, at: datetime) -> Inventory:
    """Return the inventory of one server: its own certificates, and the anchors and CRLs by which it judges peers."""
    name, loaded = node.view.name, node.view.loaded
    signers = signers_on_disk(loaded, name)
    return take_stock(loaded, on_disk(loaded, name), [node.use()], at=at, only=name, signers=signers)


def concerning(node: RunningServer, entries: Iterable[InventoryEntry]) -> Iterator[InventoryEntry]:
    """Leave out the items of partners, except on an edge or a gateway: only these use the anchors and CRLs of partners."""
    ours = node.view.loaded.topology.organisation
    return (entry for entry in entries if entry.owner == ours or node.view.role in BORDERS)


def tell(log: Log, entry: InventoryEntry, at: datetime) -> None:
    """Write one line of the log: an error in the last day and after the end, else a warning."""
    say = log.error if entry.broken or entry.level >= Urgency.DAY_1 else log.warning
    item = entry.item
    say(
        _event(entry),
        what=str(entry.what),
        name=entry.name,
        step=entry.level.word,
        ends=tell_time(item.ends) if item else None,
        left=tell_span(item.ends - at) if item else None,
        stops=entry.stops,
        remedy=entry.command,
        why=entry.sentence(at),
    )


def _event(entry: InventoryEntry) -> str:
    if entry.broken:
        return "cannot be used"
    if entry.what is ExpiringKind.SOURCE and entry.level is not Urgency.PAST:
        return "is unreachable"
    if entry.old and entry.level is Urgency.FINE:
        return "is old"
    return "has expired" if entry.level is Urgency.PAST else "expires soon"
