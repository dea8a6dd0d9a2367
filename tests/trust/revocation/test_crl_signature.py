"""The signature of a list is checked by the key that made it, of every kind that a CA may have, and by no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sipmesh.trust.revocation.crl_signature import ListSignature

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
EC, OTHER_EC = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65_537, 2_048)
ED25519, ED448 = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def signed(key: Key, hashed: hashes.HashAlgorithm | None, rsa_padding: padding.PSS | None = None) -> bytes:
    """A list of one serial, in DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuing")]))
        .last_update(NOON)
        .next_update(NOON + timedelta(hours=1))
        .add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(0xBAD).revocation_date(NOON).build(),
        )
    )
    made = builder.sign(key, hashed, rsa_padding=rsa_padding)  # type: ignore[arg-type]
    return made.public_bytes(Encoding.DER)


def signature(der: bytes) -> ListSignature:
    return ListSignature.of(x509.load_der_x509_crl(der), der)


@pytest.mark.parametrize(
    ("key", "hashed", "rsa_padding"),
    [
        (EC, hashes.SHA256(), None),
        (EC, hashes.SHA512(), None),
        (RSA, hashes.SHA256(), None),
        (RSA, hashes.SHA256(), PSS),
        (ED25519, None, None),
        (ED448, None, None),
    ],
    ids=["p256", "p256-sha512", "rsa", "rsa-pss", "ed25519", "ed448"],
)
def test_only_the_signing_key_verifies_the_crl(
    key: Key, hashed: hashes.HashAlgorithm | None, rsa_padding: padding.PSS | None
) -> None:
    found = signature(signed(key, hashed, rsa_padding))
    assert found.is_by(key.public_key())
    others = [held for held in (OTHER_EC, RSA, ED25519, ED448) if held is not key]
    assert not any(found.is_by(other.public_key()) for other in others)


def test_changed_crl_has_no_valid_signature() -> None:
    der = signed(EC, hashes.SHA256())
    changed = der.replace(bytes.fromhex("02020bad"), bytes.fromhex("02020bac"))
    assert changed != der
    assert not signature(changed).is_by(EC.public_key())


def test_digest_of_the_crl_is_kept_and_not_the_crl() -> None:
    assert len(signature(signed(EC, hashes.SHA384())).signed) == 48


def test_crl_with_two_algorithms_is_refused() -> None:
    """RFC 5280 section 5.1.1.2: both identifiers must be the same."""
    sha256, sha384 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040303")
    der = signed(EC, hashes.SHA256())
    begin = der.rindex(sha256)
    changed = der[:begin] + sha384 + der[begin + len(sha256) :]
    with pytest.raises(ValueError, match="signature algorithm differs"):
        ListSignature.of(x509.load_der_x509_crl(der), changed)


def test_truncated_crl_is_refused() -> None:
    der = signed(EC, hashes.SHA256())
    with pytest.raises(ValueError, match="longer than what holds it"):
        ListSignature.of(x509.load_der_x509_crl(der), der[:-1])
