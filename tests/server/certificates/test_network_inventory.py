"""The inventory of a network: what the ledger, the files and the running servers say of one certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.server.certificates.network_inventory import network_inventory
from sipmesh.topology.expiry.inventory_entry import ExpiringKind
from support.network import BEGAN, FE1, build_example


@pytest.mark.parametrize("has_ca", [True, False])
def test_ledger_and_files_say_the_same_and_either_is_enough(tmp_path: Path, *, has_ca: bool) -> None:
    organisation = build_example(tmp_path)
    loaded = organisation.load()
    file = tmp_path / "servers" / f"{FE1}.pem"
    if has_ca:
        file.unlink()
    stock = network_inventory(loaded, tmp_path / "ca" if has_ca else tmp_path / "elsewhere", (), BEGAN)
    (entry,) = (entry for entry in stock.entries if (entry.what, entry.name) == (ExpiringKind.SERVER, FE1))
    assert entry.on_disk is not None
    assert entry.on_disk.ends > BEGAN
    issuing = [entry for entry in stock.entries if entry.what is ExpiringKind.ISSUING]
    assert all(entry.item is not None for entry in issuing)
    assert issuing
