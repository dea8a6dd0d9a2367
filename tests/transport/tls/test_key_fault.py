"""Keys with which OpenSSL verifies no signature, and the largest with which it does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa
from OpenSSL import crypto

from sipmesh.demo.forge import Forge
from sipmesh.transport.tls.key_fault import UNKNOWN, key_fault
from support.mersenne_keys import LARGEST, LONG_EXPONENT, TOO_LARGE, rsa_key

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FORGE = Forge(NOON)
PrivateKey = (
    dsa.DSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed448.Ed448PrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | rsa.RSAPrivateKey
)


def with_key(key: PrivateKey) -> crypto.X509:
    """A certificate of *key*, by a CA with another key."""
    issuer = FORGE.root("a CA")
    name = issuer.certificate.subject
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(NOON).not_valid_after(NOON)
    return crypto.X509.from_cryptography(builder.sign(issuer.key, hashes.SHA256()))


@pytest.mark.parametrize(
    "key",
    [
        LARGEST,
        rsa_key(607, 2203, (1 << 31) + 1),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
        mldsa.MLDSA44PrivateKey.generate(),
    ],
    ids=["RSA-7640", "exponent of 32 bits", "P-256", "P-384", "P-521", "Ed25519", "Ed448", "ML-DSA-44"],
)
def test_signature_is_verified_with_a_usual_key(key: PrivateKey) -> None:
    assert key_fault(with_key(key)) == ""


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (TOO_LARGE, "an RSA key of 15636 bits, more than 8192"),
        (LONG_EXPONENT, "an RSA key with an exponent of 2701 bits, more than 32"),
        (rsa_key(607, 2203, (1 << 32) + 1), "an RSA key with an exponent of 33 bits, more than 32"),
        (ec.generate_private_key(ec.BrainpoolP512R1()), "an EC key of 512 bits"),
        (dsa.generate_private_key(2048), UNKNOWN),
        (mldsa.MLDSA65PrivateKey.generate(), UNKNOWN),
    ],
    ids=["RSA-15636", "exponent of 2701 bits", "exponent of 33 bits", "brainpoolP512r1", "DSA", "ML-DSA-65"],
)
def test_no_signature_is_verified_with_a_large_or_unusual_key(key: PrivateKey, fault: str) -> None:
    assert key_fault(with_key(key)) == fault


def test_certificate_without_a_readable_key_is_refused() -> None:
    assert key_fault(crypto.X509()) == UNKNOWN
