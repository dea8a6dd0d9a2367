"""The lint: a certificate that differs from its profile in one property is refused for that property."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from sipmesh.pki.files import new_key, read_key
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.lint import LintRefusedError, check_signed, lint, refuse
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import draft
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.pki.authority import EnterpriseCa

Change = tuple[x509.ExtensionType, bool]
NAMES = ("fe1.example.test", "example.test")
MANAGER = "mg1.example.test"
SERIAL = 1 << 100
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PLAIN = profiles.server_name("Example", "")


@pytest.fixture(name="wish")
def _wish(noon: datetime) -> CertificateProfile:
    return CertificateProfile(
        kind=CertificateKind.SERVER,
        subject=profiles.server_name("Example", NAMES[0]),
        names=NAMES,
        key=new_key().public_key(),
        not_before=noon,
        not_after=noon + timedelta(days=30),
        crl_url="http://crl.example.test/issuing.crl",
    )


@pytest.fixture(name="signing")
def _signing(noon: datetime) -> CertificateProfile:
    return CertificateProfile(
        kind=CertificateKind.SIGNER,
        subject=profiles.server_name("Example", MANAGER),
        names=(MANAGER,),
        key=new_key().public_key(),
        not_before=noon,
        not_after=noon + timedelta(days=90),
        crl_url="http://crl.example.test/issuing.crl",
    )


def made(
    wish: CertificateProfile, ca: EnterpriseCa, serial: int = SERIAL, instead: tuple[Change, ...] = ()
) -> x509.Certificate:
    """The certificate as the profile has it, with some extensions exchanged."""
    key = ca.issuing.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    found = {type(extension): (extension, critical) for extension, critical in profiles.extensions(wish, key)}
    found |= {type(extension): (extension, critical) for extension, critical in instead}
    builder = x509.CertificateBuilder().subject_name(wish.subject).issuer_name(ca.issuing.subject).public_key(wish.key)
    builder = builder.not_valid_before(wish.not_before).not_valid_after(wish.not_after)
    for extension, critical in found.values():
        builder = builder.add_extension(extension, critical=critical)
    return draft(builder, serial, KeyAlgorithm.P_256)


def test_the_profile_passes(ca: EnterpriseCa, wish: CertificateProfile) -> None:
    assert lint(made(wish, ca), wish, ca.issuing) == []


def access(*urls: str) -> x509.AuthorityInformationAccess:
    methods = (AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS)
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
            for method, url in zip(methods, urls, strict=True)
        ]
    )


def test_information_access_is_that_of_the_ca_alone(ca: EnterpriseCa, wish: CertificateProfile) -> None:
    ocsp, issuer = "http://crl.example.test/ocsp", "http://crl.example.test/issuing.crt"
    served = replace(wish, ocsp_url=ocsp, issuer_url=issuer)
    assert lint(made(served, ca), served, ca.issuing) == []
    assert lint(made(wish, ca), served, ca.issuing) == ["extension 1.3.6.1.5.5.7.1.1 is missing"]
    assert "not of the profile" in lint(made(served, ca), wish, ca.issuing)[0]
    fault = ["its authority information access is not that of the CA"]
    for urls in (("http://other.test/ocsp", issuer), (ocsp, "http://other.test/issuing.crt"), (issuer, ocsp)):
        instead = ((access(*urls), False),)
        assert lint(made(served, ca, instead=instead), served, ca.issuing) == fault
        wrong = replace(wish, ocsp_url=urls[0], issuer_url=urls[1])
        assert lint(made(wrong, ca), wrong, ca.issuing) == fault


@pytest.mark.parametrize(("bits", "passes"), [(63, False), (64, True), (159, True), (160, False)])
def test_serials_have_from_64_to_159_bits(
    ca: EnterpriseCa, wish: CertificateProfile, bits: int, *, passes: bool
) -> None:
    serial = 1 << (bits - 1)
    if bits == 160:  # the library refuses to write it; RFC 5280 4.1.2.2
        with pytest.raises(ValueError, match="159 bits"):
            made(wish, ca, serial)
    else:
        assert (lint(made(wish, ca, serial), wish, ca.issuing) == []) is passes


USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@pytest.mark.parametrize(
    ("extension", "fault"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "basic constraints"),
        (USAGE, "key usage"),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), "usages are not"),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), "usages are not"),
        (profiles.alternative_names(["fe1.example.test"]), "names are not those"),
        (profiles.alternative_names([*NAMES, "more.test"]), "names are not those"),
        (x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), "names are not those"),
        (x509.AuthorityKeyIdentifier(b"x" * 20, None, None), "authority key identifier"),
        (
            x509.CRLDistributionPoints([x509.DistributionPoint([x509.DNSName("x.test")], None, None, None)]),
            "CRL distribution point",
        ),
        (x509.OCSPNoCheck(), "not of the profile"),
    ],
)
def test_one_other_extension_is_one_fault(
    ca: EnterpriseCa, wish: CertificateProfile, extension: x509.ExtensionType, fault: str
) -> None:
    (told,) = lint(made(wish, ca, instead=((extension, False),)), wish, ca.issuing)
    assert fault in told


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda wish, _: replace(wish, not_before=wish.not_after), "before it begins"),
        (lambda wish, ca: replace(wish, not_after=ca.issuing.not_valid_after_utc + timedelta(days=1)), "exceeds"),
        (lambda wish, ca: replace(wish, not_before=ca.issuing.not_valid_before_utc - timedelta(days=1)), "exceeds"),
        (lambda wish, _: replace(wish, not_after=wish.not_before + timedelta(days=398)), "longer than 397"),
        (lambda wish, _: replace(wish, names=("*.example.test",), subject=PLAIN), "not a full host name"),
        (lambda wish, _: replace(wish, names=("fe1",), subject=PLAIN), "not a full host name"),
        (lambda wish, _: replace(wish, subject=profiles.server_name("Example", "fe2.example.test")), "common name"),
        (lambda wish, _: replace(wish, crl_url="https://crl.example.test/issuing.crl"), "CRL distribution point"),
    ],
)
def test_a_wish_beyond_the_profile_is_refused(
    ca: EnterpriseCa,
    wish: CertificateProfile,
    change: Callable[[CertificateProfile, EnterpriseCa], CertificateProfile],
    fault: str,
) -> None:
    wish = change(wish, ca)
    assert any(fault in told for told in lint(made(wish, ca), wish, ca.issuing))


def test_the_profile_of_a_signer_passes(ca: EnterpriseCa, signing: CertificateProfile) -> None:
    assert lint(made(signing, ca), signing, ca.issuing) == []


@pytest.mark.parametrize(
    ("extension", "fault"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "basic constraints"),
        (USAGE, "key usage"),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), "documentSigning alone"),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), "documentSigning alone"),
        (x509.ExtendedKeyUsage([DOCUMENT_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH]), "documentSigning alone"),
        (profiles.alternative_names([MANAGER]), "as DNS name alone"),
        (profiles.signer_names(["other.example.test"]), "as DNS name alone"),
        (x509.OCSPNoCheck(), "not of the profile"),
    ],
)
def test_signer_with_other_properties_is_a_fault(
    ca: EnterpriseCa, signing: CertificateProfile, extension: x509.ExtensionType, fault: str
) -> None:
    """A server that could sign would own the network; a signer that could open links would be one more server."""
    (told,) = lint(made(signing, ca, instead=((extension, False),)), signing, ca.issuing)
    assert fault in told


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"names": ()}, "names no server"),
        ({"names": (MANAGER, "mg2.example.test")}, "more than one server"),
        ({"names": ("mg1",)}, "not a full host name"),
        ({"subject": profiles.server_name("Example", "mg2.example.test")}, "common name"),
        ({"not_after": NOON + timedelta(days=398)}, "longer than 397"),
    ],
)
def test_a_wish_for_a_signer_beyond_the_profile_is_refused(
    ca: EnterpriseCa, signing: CertificateProfile, change: dict[str, Any], fault: str
) -> None:
    wish = replace(signing, **change)
    assert any(fault in told for told in lint(made(wish, ca), wish, ca.issuing))


def test_another_key_than_asked_for_is_a_fault(ca: EnterpriseCa, wish: CertificateProfile) -> None:
    other = replace(wish, key=new_key().public_key())
    assert "it carries another key" in lint(made(other, ca), wish, ca.issuing)


def test_another_issuer_is_a_fault(ca: EnterpriseCa, wish: CertificateProfile) -> None:
    assert any("issuer is another" in told for told in lint(made(wish, ca), wish, ca.root))


def test_a_weak_key_is_a_fault(ca: EnterpriseCa, wish: CertificateProfile) -> None:
    weak = replace(wish, key=ec.generate_private_key(ec.SECP224R1()).public_key())
    assert any("secp224r1" in told for told in lint(made(weak, ca), weak, ca.issuing))


def test_signed_certificate_must_equal_the_draft(ca: EnterpriseCa, wish: CertificateProfile, noon: datetime) -> None:
    looked_at = made(wish, ca)
    key = read_key(ca.folder / "issuing.key")
    issuer_key = key.public_key()
    builder = profiles.builder(wish, ca.issuing.subject, issuer_key)
    good = builder.serial_number(SERIAL).sign(key, hashes.SHA256())
    other = builder.serial_number(SERIAL + 1).sign(key, hashes.SHA256())
    above = (ca.issuing, ca.root)
    assert check_signed(good, looked_at, above, at=noon) == []
    assert check_signed(other, looked_at, above, at=noon) == ["the signed certificate differs from the draft"]


def test_invalid_signature_is_a_fault(ca: EnterpriseCa, wish: CertificateProfile, noon: datetime) -> None:
    """The draft itself is signed with a throwaway key."""
    looked_at = made(wish, ca)
    told = check_signed(looked_at, looked_at, (ca.issuing, ca.root), at=noon)
    assert any("is not valid" in fault for fault in told)
    assert any("path is refused" in fault for fault in told)


def test_issuer_with_another_key_type_is_a_fault(ca: EnterpriseCa, wish: CertificateProfile, noon: datetime) -> None:
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateBuilder().subject_name(ca.issuing.subject).issuer_name(ca.root.subject)
    builder = builder.public_key(key.public_key()).not_valid_before(wish.not_before).not_valid_after(wish.not_after)
    other = builder.serial_number(SERIAL).sign(read_key(ca.folder / "root.key"), hashes.SHA256())
    told = check_signed(made(wish, ca), made(wish, ca), (other, ca.root), at=noon)
    assert any("is not valid" in fault for fault in told)


def test_faults_become_one_refusal(ca: EnterpriseCa) -> None:
    refuse([], ca.folder)
    with pytest.raises(LintRefusedError) as refused:
        refuse(["one", "two"], ca.folder)
    assert [problem.reason for problem in refused.value.problems] == ["one", "two"]
