"""Profiles: names, subjects and times as the rules have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(st.tuples(LABEL, LABEL).map(".".join), min_size=1, max_size=5, unique=True))
def test_each_name_is_a_dns_name_and_a_sip_uri(names: list[str]) -> None:
    found = profiles.alternative_names(names)
    assert found.get_values_for_type(x509.DNSName) == names
    assert found.get_values_for_type(x509.UniformResourceIdentifier) == [f"sip:{name}" for name in names]


def test_names_of_a_signer_are_dns_names_alone() -> None:
    found = profiles.signer_names(["mg1.example.test"])
    assert list(found) == [x509.DNSName("mg1.example.test")]


def test_three_kinds_sign_certificates_and_each_kind_has_one_issuer() -> None:
    root, issuing, devices = CertificateKind.ROOT, CertificateKind.ISSUING, CertificateKind.DEVICES
    assert [kind for kind in CertificateKind if kind.is_ca] == [root, issuing, devices]
    assert {kind.issuer for kind in (root, issuing, devices)} == {root}
    assert [kind for kind in CertificateKind if kind.issuer is devices] == [CertificateKind.DEVICE]


@pytest.mark.parametrize(("length", "has_cn"), [(64, True), (65, False)])
def test_a_common_name_has_at_most_64_characters(length: int, *, has_cn: bool) -> None:
    subject = profiles.server_name("Example", "a" * (length - 5) + ".test")
    assert ("CN=" in subject.rfc4514_string()) is has_cn


def test_the_cas_have_names_of_their_own() -> None:
    names = [profiles.ca_name("Example", kind).rfc4514_string() for kind in CertificateKind if kind.is_ca]
    assert names == [f"CN=Example {which} CA,O=Example" for which in ("Root", "Issuing", "Device")]


def test_a_long_organisation_still_makes_a_ca_name() -> None:
    assert "CN=" in profiles.ca_name("x" * 64, CertificateKind.ISSUING).rfc4514_string()


def test_certificates_are_backdated(noon: datetime) -> None:
    assert profiles.validity(noon, timedelta(days=1)) == (noon - timedelta(minutes=5), noon + timedelta(days=1))


ISSUER_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
SERVER_AND_CLIENT = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def profiled(kind: CertificateKind, crl_url: str = "http://crl.test/x.crl") -> dict[type[object], tuple[Any, bool]]:
    """The extensions of a certificate of *kind*, by type, each with its criticality."""
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    names: tuple[str, ...] = () if kind.is_ca else ("fe1.example.test",)
    names = ("alice@example.test", "desk") if kind is CertificateKind.DEVICE else names
    permitted = ("example.test",) if kind is CertificateKind.DEVICES else ()
    subject = profiles.server_name("Example", "a name")
    wish = CertificateProfile(kind, subject, names, KEY, noon, noon, crl_url, permitted=permitted)
    return {type(found): (found, critical) for found, critical in profiles.extensions(wish, ISSUER_KEY)}


@pytest.mark.parametrize(
    ("kind", "ca", "path_length"),
    [
        (CertificateKind.ROOT, True, 1),
        (CertificateKind.ISSUING, True, 0),
        (CertificateKind.SERVER, False, None),
        (CertificateKind.SIGNER, False, None),
        (CertificateKind.OPERATOR, False, None),
        (CertificateKind.DEVICES, True, 0),
        (CertificateKind.DEVICE, False, None),
    ],
)
def test_each_kind_has_its_constraints_and_its_key_usage(
    kind: CertificateKind, *, ca: bool, path_length: int | None
) -> None:
    found = profiled(kind)
    assert found[x509.BasicConstraints] == (x509.BasicConstraints(ca=ca, path_length=path_length), True)
    usage, critical = found[x509.KeyUsage]
    assert critical
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (ca, ca, not ca)
    assert found[x509.SubjectKeyIdentifier][0] == x509.SubjectKeyIdentifier.from_public_key(KEY)
    assert found[x509.AuthorityKeyIdentifier][0] == x509.AuthorityKeyIdentifier.from_issuer_public_key(ISSUER_KEY)


@pytest.mark.parametrize(
    ("kind", "usages"),
    [
        (CertificateKind.ROOT, None),
        (CertificateKind.ISSUING, None),
        (CertificateKind.SERVER, SERVER_AND_CLIENT),
        (CertificateKind.SIGNER, {DOCUMENT_SIGNING}),
        (CertificateKind.OPERATOR, {ExtendedKeyUsageOID.CLIENT_AUTH}),
        (CertificateKind.DEVICE, {ExtendedKeyUsageOID.CLIENT_AUTH}),
    ],
)
def test_only_a_server_may_use_its_key_in_a_handshake(
    kind: CertificateKind, usages: set[x509.ObjectIdentifier] | None
) -> None:
    found = profiled(kind)
    assert (x509.ExtendedKeyUsage in found) is (x509.SubjectAlternativeName in found) is (usages is not None)
    if usages is not None:
        assert set(found[x509.ExtendedKeyUsage][0]) == usages


@pytest.mark.parametrize("url", ["http://crl.test/x.crl", ""])
def test_crl_url_is_in_the_certificate_if_there_is_one(url: str) -> None:
    found = profiled(CertificateKind.SERVER, url)
    assert (x509.CRLDistributionPoints in found) is bool(url)
    if url:
        [point] = found[x509.CRLDistributionPoints][0]
        assert [name.value for name in point.full_name] == [url]


def test_builder_has_all_but_serial_and_signature() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    subject, issuer = profiles.server_name("Example", "x.test"), profiles.ca_name("Example", CertificateKind.ISSUING)
    wish = CertificateProfile(CertificateKind.SERVER, subject, ("x.test",), KEY, noon, noon + timedelta(days=1))
    made = profiles.builder(wish, issuer, ISSUER_KEY).serial_number(7).sign(SIGNING, hashes.SHA256())
    assert (made.subject, made.issuer, made.not_valid_before_utc) == (subject, issuer, noon)
    assert len(made.extensions) == len(profiles.extensions(wish, ISSUER_KEY))


SIGNING = ec.generate_private_key(ec.SECP256R1())
