"""What the inventory knows of a certificate and of a CRL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sipmesh.topology.expiry.validity import Chain, DatedItem
from topology.world import NOON, Place

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded

ITEM = DatedItem("CN=fe1", "CN=Issuing", "badf00d", "ab" * 32, NOON, NOON + timedelta(days=30))


@pytest.fixture(name="loaded")
def _loaded(place: Place) -> Loaded:
    return place.load()


def test_certificate_is_known_by_its_fingerprint(loaded: Loaded) -> None:
    [root] = loaded.authority.anchors
    item = DatedItem.of_certificate(root)
    assert (item.begins, item.ends) == (root.not_valid_before_utc, root.not_valid_after_utc)
    assert item.subject == item.issuer
    assert (int(item.number, 16), len(item.mark)) == (root.serial_number, 64)


def test_crl_is_known_by_its_number_and_time(loaded: Loaded) -> None:
    held = next(iter(loaded.authority.lists))
    item = DatedItem.of_list(held)
    assert (item.subject, item.begins, item.ends) == (item.issuer, held.this_update, held.next_update)
    assert item.number == str(held.number)
    assert item.mark == f"{held.number} of {held.this_update.isoformat()}"


def test_leaf_is_the_first_certificate_if_there_is_one() -> None:
    assert Chain("file", (ITEM,)).leaf is ITEM
    assert Chain("file").leaf is None
