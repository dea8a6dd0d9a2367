"""Certificates and CRLs that the inventory reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.demo.organisation import Organisation
from sipmesh.server.certificates.expiring_files import (
    anchors_of,
    lists_of,
    on_disk,
    signers_on_disk,
)
from sipmesh.topology.expiry.validity import DatedItem
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEM = DatedItem("CN=fe1", "CN=Issuing", "badf00d", "ab" * 32, NOON, NOON + timedelta(days=30))


def test_certificate_of_each_server_on_this_machine_is_read(example: Organisation) -> None:
    found = on_disk(example.load())
    assert {server for server, _ in found} >= {FE1, FE2, EDGE}
    leaf = found[FE1, False].leaf
    assert leaf is not None
    assert FE1 in leaf.subject
    assert list(on_disk(example.load(), FE2)) == [(FE2, False)]


def test_server_whose_files_are_elsewhere_is_left_out(example: Organisation) -> None:
    example.credentials(FE1)[0].unlink()
    assert (FE1, False) not in on_disk(example.load())


def test_file_that_cannot_be_read_is_a_fault(example: Organisation) -> None:
    example.credentials(FE1)[0].write_bytes(b"nothing")
    found = on_disk(example.load())[FE1, False]
    assert (found.leaf, bool(found.fault)) == (None, True)


def test_signer_is_that_of_management(managed: Managed, example: Organisation) -> None:
    assert list(signers_on_disk(managed.organisation.load())) == [MGMT]
    assert signers_on_disk(example.load()) == {}


def test_anchors_and_crls_in_force_are_ours_and_the_partners(example: Organisation) -> None:
    loaded = example.load()
    assert len(anchors_of(loaded)) == 1
    assert len(lists_of(loaded)) == 2
