"""Which servers need a certificate before a draft is published, and who gets it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.publishing.certificate_needs import IssuedBy, certificate_needs, is_of_this_machine
from support.network import BOT, EDGE, FE1, FE2

NO_CERTIFICATE = "has no valid certificate"


def needs(example: Organisation, *, ca: bool = True) -> Mapping[str, tuple[str, IssuedBy]]:
    """Each server that needs a certificate, with what it lacks and who issues it."""
    generations = CaGenerations(example.folder / "ca") if ca else None
    found = certificate_needs(example.load(), generations, datetime.now(UTC))
    return {need.server: (need.why, need.by) for need in found}


def test_network_with_its_certificates_needs_none(example: Organisation) -> None:
    assert needs(example) == {}


def test_new_domain_is_lacking_in_front_ends_and_edges(example: Organisation) -> None:
    example.document["sip_domains"] = ["example.test", "example.net"]
    example.write()
    lacking = ("its certificate lacks example.net", IssuedBy.APPLY)
    assert needs(example) == {FE1: lacking, FE2: lacking, EDGE: lacking}
    example.credentials(FE1)[1].unlink()
    assert needs(example)[FE1][1] is IssuedBy.RENEWAL


def test_new_server_of_this_machine_is_distinguished_from_one_elsewhere(example: Organisation) -> None:
    pools: Any = example.document["pools"]
    pools[0]["servers"] += [
        {"name": "fe8.example.test", "address": "127.0.0.1", "ports": {"client": 5091, "server": 5092}},
        {"name": "fe9.example.test", "address": "192.0.2.77", "machine": "loopback"},
    ]
    example.write()
    assert needs(example) == {
        "fe8.example.test": (NO_CERTIFICATE, IssuedBy.APPLY),
        "fe9.example.test": (NO_CERTIFICATE, IssuedBy.JOIN),
    }


def test_revoked_certificate_does_not_count(example: Organisation) -> None:
    leaf = x509.load_pem_x509_certificate(example.credentials(FE1)[0].read_bytes())
    example.ca.revoke(leaf.serial_number, Reason.SUPERSEDED, datetime.now(UTC))
    assert list(needs(example)) == [FE1]


def test_newest_certificate_counts(example: Organisation) -> None:
    example.document["sip_domains"] = ["example.test", "example.net"]
    example.write()
    example.issue(FE1)
    assert FE1 not in needs(example)


def test_without_the_ca_nothing_is_known_of_certificates(example: Organisation) -> None:
    assert set(needs(example, ca=False)) == {FE1, FE2, EDGE, BOT}


@pytest.mark.parametrize(
    ("address", "here"), [("127.0.0.1", True), ("127.0.0.9", True), ("192.0.2.77", False), (None, False)]
)
def test_address_of_this_machine_can_be_bound(address: str | None, *, here: bool) -> None:
    assert is_of_this_machine(address) is here
