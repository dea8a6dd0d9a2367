"""Profiles: names, subjects and times as the rules have them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.profiles import CertificateKind

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(st.tuples(LABEL, LABEL).map(".".join), min_size=1, max_size=5, unique=True))
def test_each_name_is_a_dns_name_and_a_sip_uri(names: list[str]) -> None:
    found = profiles.alternative_names(names)
    assert found.get_values_for_type(x509.DNSName) == names
    assert found.get_values_for_type(x509.UniformResourceIdentifier) == [f"sip:{name}" for name in names]


def test_names_of_a_signer_are_dns_names_alone() -> None:
    found = profiles.signer_names(["mg1.example.test"])
    assert list(found) == [x509.DNSName("mg1.example.test")]


def test_two_kinds_sign_certificates_and_two_do_not() -> None:
    assert [kind for kind in CertificateKind if kind.is_ca] == [CertificateKind.ROOT, CertificateKind.ISSUING]


@pytest.mark.parametrize(("length", "has_cn"), [(64, True), (65, False)])
def test_a_common_name_has_at_most_64_characters(length: int, *, has_cn: bool) -> None:
    subject = profiles.server_name("Example", "a" * (length - 5) + ".test")
    assert ("CN=" in subject.rfc4514_string()) is has_cn


def test_the_two_cas_have_names_of_their_own() -> None:
    names = [
        profiles.ca_name("Example", kind).rfc4514_string() for kind in (CertificateKind.ROOT, CertificateKind.ISSUING)
    ]
    assert names == ["CN=Example Root CA,O=Example", "CN=Example Issuing CA,O=Example"]


def test_a_long_organisation_still_makes_a_ca_name() -> None:
    assert "CN=" in profiles.ca_name("x" * 64, CertificateKind.ISSUING).rfc4514_string()


def test_certificates_are_backdated(noon: datetime) -> None:
    assert profiles.validity(noon, timedelta(days=1)) == (noon - timedelta(minutes=5), noon + timedelta(days=1))
