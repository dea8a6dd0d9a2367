"""`sipmesh ca inventory`: everything in the network that ends, what stops when it does, and the command that helps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import typer

from sipmesh.cli.control_client import ask_all
from sipmesh.cli.output import BAD, GOOD, QUIET, WARN, cell, duration, say, say_json, show, table
from sipmesh.cli.place import CA, HERE, AsJson, Place, TopologyFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.pki.status import CertificateStatus
    from sipmesh.topology.expiry.inventory import Countdown, Inventory, InventoryEntry, Side, Use
    from sipmesh.topology.expiry.validity import Chain, DatedItem

FINE: Final = 0
"""Exit code: everything goes on for more than a week."""

URGENT: Final = 1
"""Exit code: something has come to its last 7 days, has ended, or cannot be used."""


def inventory(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show everything that expires: what is in use, what is on disk, the remaining time, and what stops working then.

    It lists the certificates of all servers, the issuing CAs, the roots, the partners' anchors, and the revocation lists. It asks
    the servers that run on this machine. It works with and without the CA folder.

    Warnings begin 30, 14, 7 and 1 days before the end. A step that is longer than half of the lifetime is left out. So a
    certificate of 30 days warns from day 14 on, and a revocation list of 7 days from day 1 on. For certificates the steps 7 and 1
    always apply. Our own revocation list is signed each day; it is marked old after 36 hours.

    Exit codes:

    0 (FINE): all items have more than 7 days.

    1 (URGENT): an item has at most 7 days, has expired, or cannot be used.

    2: the command line is wrong.
    """
    at = datetime.now(UTC)
    found = _take(Place(topology), at)
    if as_json:
        say_json(_json(found))
    else:
        _show(found)
    raise typer.Exit(URGENT if found.urgent else FINE)


def _take(place: Place, at: datetime) -> Inventory:
    from sipmesh.server.certificates.expiring_files import on_disk, signers_on_disk
    from sipmesh.topology.expiry.inventory import take_stock

    loaded = place.in_force()
    issued, signers, known = _from_ca(place, at)
    disk, signers = {**issued, **on_disk(loaded)}, {**signers, **signers_on_disk(loaded)}
    return take_stock(loaded, disk, _uses(place), at=at, known=known, signers=signers)


def _from_ca(place: Place, at: datetime) -> tuple[dict[Side, Chain], dict[str, Chain], list[DatedItem]]:
    """Where the CA is here: the newest certificate that each server and signer should have, and the issuing CA."""
    from sipmesh.topology.expiry.validity import DatedItem

    if not (place.folder / CA / "ledger.db").exists():
        return {}, {}, []
    ca = place.ca()
    issuing, status = DatedItem.of_certificate(ca.issuing), ca.status(at)
    servers = {(name, False): chain for name, chain in _newest(status.servers, issuing).items()}
    return servers, _newest(status.signers, issuing), [issuing]


def _newest(issued: Iterable[CertificateStatus], issuing: DatedItem) -> dict[str, Chain]:
    """The last certificate of each name that was not revoked."""
    from cryptography import x509

    from sipmesh.pki.status import CertificateState
    from sipmesh.topology.expiry.inventory import LEDGER
    from sipmesh.topology.expiry.validity import Chain, DatedItem

    return {
        one.record.names[0]: Chain(
            LEDGER, (DatedItem.of_certificate(x509.load_der_x509_certificate(one.record.der)), issuing)
        )
        for one in issued
        if one.record.der and one.record.names and one.state is not CertificateState.REVOKED
    }


def _uses(place: Place) -> list[Use]:
    """What the running servers say of themselves; one that cannot say it is told on the standard error."""
    from sipmesh.server.certificates.expiring_files import use_from_json

    found = []
    for answer in ask_all(place, "status"):
        try:
            found.append(use_from_json(answer.result or {}))
        except (KeyError, TypeError, ValueError):
            why = answer.fault or "the server runs another release of sipmesh: restart it"
            say(f"{answer.server} does not report the certificates that it uses: {why}", style=WARN, error=True)
    return found


def _show(found: Inventory) -> None:
    show(_table(found))
    for entry in found.entries:
        if (entry.level or entry.old) and not entry.broken:
            say(entry.sentence(found.at), style=_style(entry))
        if entry.note:
            style = BAD if entry.broken else QUIET if entry.paper is None else WARN
            say(f"{entry.name}: {entry.note}", style=style)
    if found.countdown is not None:
        say(found.countdown.sentence(found.at), style="bold")


def _table(found: Inventory) -> Any:
    made = table("Inventory", "what", "name", "in use", "on disk", "until", "left", "level", "what stops working")
    for entry in found.entries:
        paper = entry.paper
        made.add_row(
            cell(f"{entry.what}, for partners" if entry.outside else entry.what),
            cell(entry.name),
            cell(_known_by(entry.in_use), WARN if entry.in_use and entry.in_use != entry.on_disk else ""),
            cell(_known_by(entry.on_disk)),
            cell(f"{paper.ends:%Y-%m-%d %H:%M}Z" if paper else None),
            cell(duration(paper.ends - found.at) if paper else None),
            cell(_state(entry), _style(entry)),
            cell(entry.stops),
        )
    return made


def _known_by(paper: DatedItem | None) -> str | None:
    """The first letters of a serial, or the number of a list: enough to see whether two are the same."""
    return paper.number[:8] if paper else None


def _state(entry: InventoryEntry) -> str:
    if entry.broken:
        return "refused"
    if entry.old and not entry.level:
        return "old"
    return entry.level.word if entry.paper else "not known"


def _style(entry: InventoryEntry) -> str:
    if entry.urgent:
        return BAD
    return WARN if entry.level or entry.old else GOOD


def _json(found: Inventory) -> dict[str, Any]:
    return {
        "at": found.at.isoformat(),
        "worst": found.worst.word,
        "urgent": found.urgent,
        "countdown": _countdown_json(found.countdown, found.at) if found.countdown else None,
        "entries": [_entry_json(entry, found.at) for entry in found.entries],
    }


def _countdown_json(countdown: Countdown, at: datetime) -> dict[str, Any]:
    return {
        "server": countdown.server,
        "ends": countdown.ends.isoformat(),
        "left_s": int((countdown.ends - at).total_seconds()),
        "because": countdown.because,
        "others": list(countdown.others),
    }


def _entry_json(entry: InventoryEntry, at: datetime) -> dict[str, Any]:
    paper = entry.paper
    return {
        "what": str(entry.what),
        "name": entry.name,
        "owner": entry.owner,
        "for_partners": entry.outside,
        "in_use": entry.in_use.to_json() if entry.in_use else None,
        "on_disk": entry.on_disk.to_json() if entry.on_disk else None,
        "ends": paper.ends.isoformat() if paper else None,
        "left_s": int((paper.ends - at).total_seconds()) if paper else None,
        "level": entry.level.word,
        "broken": entry.broken,
        "old": entry.old,
        "stops": entry.stops,
        "command": entry.command,
        "note": entry.note,
    }
