"""What expires: certificates, CAs and CRLs, as `sipmesh ca inventory` knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.cli.doctor.check import Check
    from sipmesh.topology.expiry.inventory import Inventory

EXPIRY: Final = "expiry"


def expiry_checks(stock: Inventory, *, without_early: bool = False) -> Iterator[Check]:
    """Judge each thing that expires, *without_early* only what has begun; one line for all that is fine."""
    entries = [entry for entry in stock.entries if entry.broken or entry.level or entry.old]
    if without_early:
        entries = [entry for entry in entries if entry.item is None or entry.item.begins <= stock.at]
    for entry in entries:
        told, remedy = entry.told(stock.at), entry.remedy(stock.at) or entry.command
        yield bad(EXPIRY, told, remedy) if entry.urgent else warning(EXPIRY, told, remedy)
    if not entries:
        yield good(EXPIRY, f"no certificate and no CRL of {len(stock.entries)} expires soon")
