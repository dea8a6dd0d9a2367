"""The border to the certificate library: what it raises stays outside, and weak keys are called weak."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.trust.x509.certificate import (
    MalformedCertificateError,
    extension,
    fingerprint,
    is_authority,
    issued_by,
    may_sign_certificates,
    read_certificate,
    rsa_excess,
    weakness,
)
from trust.network import NOON

FORGE = Forge(NOON)
LEAF = FORGE.server(None, "fe1.example.test")


Key = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | dsa.DSAPrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
)


def plain(key: Key, algorithm: hashes.SHA224 | hashes.SHA256 | None) -> x509.Certificate:
    """A certificate without any extension."""
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOON).not_valid_after(NOON + timedelta(days=1))
    return builder.sign(key, algorithm)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", LEAF.presented[0][:-1], LEAF.presented[0] + b"\x00"])
def test_what_is_no_certificate_is_malformed(der: bytes) -> None:
    with pytest.raises(MalformedCertificateError):
        read_certificate(der)
    assert read_certificate(LEAF.presented[0]) == LEAF.certificate


def test_an_unreadable_extension_is_found_when_the_certificate_is_read() -> None:
    """The library parses extensions late; a later check must not be the first to meet a broken one."""
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x82\x01\xff")
    certificate = FORGE.server(None, common_name="fe1", critical=(broken,)).certificate
    with pytest.raises(MalformedCertificateError):
        read_certificate(certificate.public_bytes(Encoding.DER))


def test_an_absent_extension_is_none() -> None:
    bare = plain(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    assert extension(bare, x509.KeyUsage) is None
    assert extension(LEAF.certificate, x509.KeyUsage) is not None
    assert not is_authority(bare)
    assert may_sign_certificates(bare)
    assert not may_sign_certificates(LEAF.certificate)


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (plain(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()), None),
        (plain(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()), None),
        (plain(ed25519.Ed25519PrivateKey.generate(), None), None),
        (plain(ec.generate_private_key(ec.SECP224R1()), hashes.SHA256()), "an EC key on secp224r1"),
        (plain(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()), "an EC key on secp256k1"),
        (plain(ec.generate_private_key(ec.SECP256R1()), hashes.SHA224()), "a signature over sha224"),
        (plain(dsa.generate_private_key(1024), hashes.SHA256()), "a DSAPublicKey"),  # noqa: S505 - the weakness
        (plain(mldsa.MLDSA44PrivateKey.generate(), None), None),
        (plain(mldsa.MLDSA65PrivateKey.generate(), None), "a key of ML-DSA, which counts with the parameter set 44 alone"),
    ],
    ids=["P-256", "P-384", "Ed25519", "P-224", "secp256k1", "SHA-224", "DSA", "ML-DSA-44", "ML-DSA-65"],
)  # fmt: skip
def test_weak_keys_and_signatures_are_described(certificate: x509.Certificate, why: str | None) -> None:
    assert weakness(certificate) == why


def test_signature_of_an_anchor_is_not_checked() -> None:
    anchor = plain(ec.generate_private_key(ec.SECP256R1()), hashes.SHA224())
    assert weakness(anchor, signature=False) is None
    assert weakness(anchor) is not None


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (ec.generate_private_key(ec.SECP256R1()), None),
        (ec.generate_private_key(ec.SECP521R1()), None),
        (ec.generate_private_key(ec.SECP256K1()), "an EC key on secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), None),
    ],
    ids=["P-256", "P-521", "secp256k1", "Ed25519"],
)
def test_curve_outside_the_list_is_weak(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, told: str) -> None:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    assert weakness(plain(key, algorithm)) == told


@pytest.mark.parametrize("serial", [1, (1 << 159) - 1])
def test_serial_of_at_most_20_octets_is_read(serial: int) -> None:
    assert read_certificate(FORGE.server(None, "x.test", serial=serial).presented[0]).serial_number == serial


def test_fingerprint_is_the_sha256_of_the_octets() -> None:
    assert fingerprint(LEAF.certificate) == sha256(LEAF.presented[0]).hexdigest()


def test_only_the_signer_with_the_right_name_is_the_issuer() -> None:
    issuing = FORGE.organisation("Example")
    leaf = FORGE.server(issuing, "fe1.example.test").certificate
    assert issued_by(leaf, issuing.certificate)
    assert not issued_by(leaf, FORGE.organisation("Example").certificate), "the same name, and another key"
    assert issuing.issuer is not None
    assert not issued_by(leaf, issuing.issuer.certificate)


def test_signature_may_be_left_out_of_the_search_for_weakness() -> None:
    """An anchor is trusted by its key: no check relies on its own signature."""
    weak = plain(ec.generate_private_key(ec.SECP256R1()), hashes.SHA224())
    assert weakness(weak, weak=(hashes.SHA224,)) == "a signature over sha224"
    assert weakness(weak, weak=(hashes.SHA224,), signature=False) is None


@pytest.mark.parametrize(("serial", "readable"), [(b"\x01", True), (b"\x00", False), (b"\xff", False)])
def test_serial_that_is_not_positive_is_malformed(serial: bytes, *, readable: bool) -> None:
    """RFC 5280 4.1.2.2. The signature does not matter here."""
    der = FORGE.server(None, "x.test", serial=1).presented[0].replace(b"\x02\x01\x01", b"\x02\x01" + serial, 1)
    if readable:
        assert read_certificate(der).serial_number == 1
        return
    with pytest.raises(MalformedCertificateError):
        read_certificate(der)


def test_key_of_an_unknown_kind_is_weak() -> None:
    """The OID of the key names no algorithm that the library knows."""
    p256 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
    der = LEAF.presented[0].replace(p256, p256[:-1] + b"\x09", 1)
    assert (weakness(x509.load_der_x509_certificate(der)) or "").startswith("a key or signature of an unknown kind")


@pytest.mark.parametrize(("names", "is_kept"), [(1, True), (300, False)])
def test_few_large_certificates_are_kept(names: int, is_kept: bool) -> None:  # noqa: FBT001
    """A stranger may present them: 256 of 60 KB took 650 MB for as long as a server ran."""
    dns = tuple(f"a{number}.example.test" for number in range(names))
    shown = [FORGE.server(None, "fe1.example.test", dns=dns).presented[0] for _ in range(4)]
    read = [read_certificate(der) for der in shown]
    assert (read_certificate(shown[0]) is read[0]) is is_kept
    assert read_certificate(shown[-1]) is read_certificate(shown[-1])


@pytest.mark.parametrize(
    ("bits", "exponent", "told"),
    [
        (8192, 65537, None),
        (8193, 65537, "an RSA key of 8193 bits, more than 8192"),
        (2048, (1 << 32) - 1, None),
        (2048, 1 << 32, "an RSA key with an exponent of 33 bits, more than 32"),
    ],
)
def test_rsa_key_is_bounded_in_both_of_its_numbers(bits: int, exponent: int, told: str | None) -> None:
    assert rsa_excess(bits, exponent) == told
