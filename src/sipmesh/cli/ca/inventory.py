"""`sipmesh ca inventory`: everything in the network that expires, what stops working then, and the remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from sipmesh.cli.control_client import ask_all
from sipmesh.cli.output import BAD, GOOD, QUIET, WARN, Grid, cell, duration, say, say_json, show, table
from sipmesh.cli.place import CA, HERE, AsJson, Place, TopologyFile

if TYPE_CHECKING:
    from sipmesh.topology.expiry.inventory import Inventory
    from sipmesh.topology.expiry.inventory_entry import InventoryEntry
    from sipmesh.topology.expiry.server_use import Use
    from sipmesh.topology.expiry.validity import DatedItem

FINE: Final = 0
"""Exit code: every item has more than 7 days."""

URGENT: Final = 1
"""Exit code: an item has at most 7 days, has expired, or cannot be used."""


def inventory(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show everything that expires: what is in use, what is on disk, the remaining time, and what stops working then.

    It lists the certificates of all servers, the issuing CAs, the roots, the partners' anchors, and the CRLs. It asks
    the servers that run on this machine. It works with and without the CA folder.

    Warnings begin 30, 14, 7 and 1 days before the end. A step that is longer than half of the lifetime is left out. So a
    certificate of 30 days warns from day 14 on, and a CRL of 7 days from day 1 on. For certificates the steps 7 and 1
    always apply. Our own CRL is signed each day; it is marked old after 36 hours.

    Exit codes:

    0 (FINE): all items have more than 7 days.

    1 (URGENT): an item has at most 7 days, has expired, or cannot be used.

    2: the command line is wrong.
    """
    from sipmesh.server.admin.inventory_report import InventoryReport

    at = datetime.now(UTC)
    stock = _take(Place(topology), at)
    if as_json:
        say_json(InventoryReport.of(stock))
    else:
        _show(stock)
    raise typer.Exit(URGENT if stock.urgent else FINE)


def _take(place: Place, at: datetime) -> Inventory:
    from sipmesh.server.certificates.network_inventory import network_inventory

    return network_inventory(place.in_force(), place.folder / CA, _uses(place), at)


def _uses(place: Place) -> list[Use]:
    """Return what the running servers use; a server that does not report it is printed on the standard error."""
    from sipmesh.server.admin.replies import STATUS

    uses = []
    for answer in ask_all(place, STATUS):
        if answer.reply is not None:
            uses.append(answer.reply.use)
        else:
            why = f"{answer.server} does not report the certificates that it uses: {answer.fault}"
            say(why, style=WARN, error=True)
    return uses


def _show(stock: Inventory) -> None:
    show(_table(stock))
    for entry in stock.entries:
        if (entry.level or entry.old) and not entry.broken:
            say(entry.sentence(stock.at), style=_style(entry))
        if entry.note:
            style = BAD if entry.broken else QUIET if entry.item is None else WARN
            say(f"{entry.name}: {entry.notice}", style=style)
    if stock.countdown is not None:
        say(stock.countdown.sentence(stock.at), style="bold")


def _table(stock: Inventory) -> Grid:
    made = table("Inventory", "what", "name", "in use", "on disk", "until", "left", "level", "what stops working")
    for entry in stock.entries:
        item = entry.item
        made.add_row(
            cell(f"{entry.what}, for partners" if entry.outside else entry.what),
            cell(entry.name),
            cell(_known_by(entry.in_use), WARN if entry.in_use and entry.in_use != entry.on_disk else ""),
            cell(_known_by(entry.on_disk)),
            cell(f"{item.ends:%Y-%m-%d %H:%M}Z" if item else None),
            cell(duration(item.ends - stock.at) if item else None),
            cell(_state(entry), _style(entry)),
            cell(entry.stops),
        )
    return made


def _known_by(item: DatedItem | None) -> str | None:
    """Return the first letters of a serial, or the number of a CRL: enough to compare two of them."""
    return item.number[:8] if item else None


def _state(entry: InventoryEntry) -> str:
    if entry.broken:
        return "refused"
    if entry.old and not entry.level:
        return "old"
    return entry.level.word if entry.item else "not known"


def _style(entry: InventoryEntry) -> str:
    if entry.urgent:
        return BAD
    return WARN if entry.level or entry.old else GOOD
