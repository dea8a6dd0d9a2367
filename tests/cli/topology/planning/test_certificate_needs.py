"""Which servers need a certificate before a draft is published, and who gets it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from cli.world import Organisation
from sipmesh.cli.place import Place
from sipmesh.server.management.publishing.certificate_needs import IssuedBy, certificate_needs, is_of_this_machine
from sipmesh.topology.document.load import load


def needs(organisation: Organisation, *, ca: bool = True) -> Mapping[str, tuple[str, IssuedBy]]:
    generations = Place(organisation.file).generations() if ca else None
    found = certificate_needs(load(organisation.file), generations, datetime.now(UTC))
    return {need.server: (need.why, need.by) for need in found}


def test_network_with_its_certificates_needs_none(organisation: Organisation) -> None:
    assert needs(organisation) == {}


def test_new_domain_is_lacking_in_front_ends(organisation: Organisation) -> None:
    organisation.type("topology", "add", "domain", "example.net")
    assert needs(organisation) == {"fe1.example.com": ("its certificate lacks example.net", IssuedBy.APPLY)}
    (organisation.folder / "servers" / "fe1.example.com.key").unlink()
    assert needs(organisation)["fe1.example.com"][1] is IssuedBy.RENEWAL


def test_new_server_of_this_machine_is_told_from_one_elsewhere(organisation: Organisation) -> None:
    for address in ("127.0.0.1", "192.0.2.77"):
        organisation.type("topology", "add", "pool", "--role", "front-end", "--address", address)
    lacking = "has no valid certificate"
    assert needs(organisation) == {
        "fe2.example.com": (lacking, IssuedBy.APPLY),
        "fe3.example.com": (lacking, IssuedBy.JOIN),
    }


def test_revoked_certificate_does_not_count(organisation: Organisation) -> None:
    organisation.type("ca", "revoke", "fe1.example.com")
    assert list(needs(organisation)) == ["fe1.example.com"]


def test_without_the_ca_nothing_is_known_of_certificates(organisation: Organisation) -> None:
    assert set(needs(organisation, ca=False)) == {"mgmt.example.com", "fe1.example.com"}


@pytest.mark.parametrize(
    ("address", "here"), [("127.0.0.1", True), ("127.0.0.9", True), ("192.0.2.77", False), (None, False)]
)
def test_address_of_this_machine_can_be_bound(address: str | None, *, here: bool) -> None:
    assert is_of_this_machine(address) is here
