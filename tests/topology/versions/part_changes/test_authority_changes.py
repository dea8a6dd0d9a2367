"""Anchors are compared by certificate, the sources of revocation by their names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.publication import Draft
from topology.changed_text import told
from topology.world import TOPOLOGY, Place

FORGE = Forge(datetime(2026, 11, 24, 12, tzinfo=UTC))


def test_anchors_are_compared_by_certificate_though_the_file_has_the_same_name(place: Place) -> None:
    before = Draft.read(TOPOLOGY.encode(), place.file)
    (place.file.parent / "partners" / "b" / "root.pem").write_bytes(FORGE.root("New Root").pem_chain)
    after = Draft.read(TOPOLOGY.encode(), place.file)
    leaves, joins = difference(before.loaded, after.loaded)
    assert leaves.startswith("anchor CN=Partner Root CA,O=Partner (SHA-256 ")
    assert leaves.endswith(") of partner partner.test is removed")
    assert joins.startswith("anchor CN=New Root (SHA-256 ")
    assert joins.endswith(") of partner partner.test is added")


def test_another_file_with_the_same_anchor_is_a_change_of_the_file_only(place: Place) -> None:
    folder = place.file.parent
    (folder / "partners" / "b" / "renamed.pem").write_bytes((folder / "partners" / "b" / "root.pem").read_bytes())
    assert told(place, ("partners/b/root.pem", "partners/b/renamed.pem")) == [
        "the anchors of partner partner.test are named by partners/b/renamed.pem instead of partners/b/root.pem"
    ]


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("grace: 48", "the grace hours after nextUpdate for CRLs of partner other.test change from the default to 48"),
        (
            "crl_hosts: [crl.other.test]",
            "the host crl.other.test for CRLs that certificates of partner other.test name is added",
        ),
        ("list_limit: 9", "the largest size of a CRL of partner other.test in MiB changes from the default to 9"),
    ],
)
def test_source_of_revocation_has_words(place: Place, key: str, line: str) -> None:
    lists = "crls: [partners/c/root.crl, partners/c/issuing.crl]"
    assert told(place, (lists, f"{lists}\n      {key}")) == [line]


def test_needed_revocation_status_has_words(place: Place) -> None:
    lists = "crls: [partners/c/root.crl, partners/c/issuing.crl]"
    asks = f"{lists}\n      ocsp: ['http://ocsp.other.test/']\n      revocation: both"
    assert told(place, (lists, asks))[1] == (
        "certificates of partner other.test now need a CRL and an OCSP response instead of a CRL"
    )
