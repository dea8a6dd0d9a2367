"""What a CRL must say of itself, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.x509.der import elements
from trust.answers import tlv
from trust.crls import CA, FORGE, WEEK, distribution_point, load
from trust.network import NOON


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"number": None}, "no number"),
        (
            {"extensions": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),)},
            "critical extension",
        ),
    ],
)
def test_crl_without_required_fields_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableListError, match=why):
        load(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"indirect_crl": True},
        {"only_contains_attribute_certs": True},
        {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})},
    ],
)
def test_indirect_and_partial_crls_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnusableListError):
        load(extensions=distribution_point(**changes))


@pytest.mark.parametrize("data", [b"", b"-----BEGIN X509 CRL-----\n", b"\x30\x00", b"not a list"])
def test_unreadable_file_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(UnusableListError, match="not a readable"):
        RevocationList.load(data)


def test_a_crl_of_another_version_is_refused() -> None:
    """Such a CRL has no extensions. The control differs in the version only."""
    crl = x509.load_pem_x509_crl(FORGE.revocations(CA))
    tbs, algorithm, signature = elements(crl.public_bytes(Encoding.DER))[0].inside()
    version, *rest = tbs.inside()
    for kept in ([version, *rest], rest):
        body = tlv(tbs.tag, *(tlv(*one) for one in kept))
        data = tlv(0x30, body, tlv(*algorithm), tlv(*signature))
        if kept[0] is version:
            assert RevocationList.load(data).number == 1
        else:
            with pytest.raises(UnusableListError, match="version 2"):
                RevocationList.load(data)


def test_der_and_pem_are_read_alike() -> None:
    pem = FORGE.revocations(CA, [0xBAD])
    der = x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)
    assert RevocationList.load(der).serials == RevocationList.load(pem).serials == {0xBAD}


def test_unknown_critical_entry_extension_refuses_the_crl() -> None:
    """RFC 5280 5.3: such a list must not be used to determine the status of any certificate."""
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    for critical in (True, False):
        entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOON).add_extension(strange, critical)
        builder = x509.CertificateRevocationListBuilder().issuer_name(CA.certificate.subject).last_update(NOON)
        builder = builder.next_update(NOON + WEEK).add_extension(x509.CRLNumber(1), critical=False)
        data = builder.add_revoked_certificate(entry.build()).sign(CA.key, hashes.SHA256()).public_bytes(Encoding.DER)
        if critical:
            with pytest.raises(UnusableListError, match="entry"):
                RevocationList.load(data)
        else:
            assert RevocationList.load(data).serials == {7}
