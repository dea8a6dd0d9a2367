"""The forge: an impostor and its control differ in exactly the requested property."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged, KeyKind, Wish
from trust.network import NOON

if TYPE_CHECKING:
    from pathlib import Path

FORGE = Forge(NOON)
CA = FORGE.organisation("Example")


def test_valid_server_certificate_has_each_name_twice() -> None:
    names = FORGE.server(CA, "fe1.example.test", "example.test").certificate.extensions
    held = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in held] == [
        "fe1.example.test",
        "example.test",
        "sip:fe1.example.test",
        "sip:example.test",
    ]


def test_the_chain_ends_below_the_anchor() -> None:
    leaf = FORGE.server(CA, "fe1.example.test")
    assert leaf.chain == (leaf.certificate, CA.certificate)
    assert x509.load_pem_x509_certificates(leaf.pem_chain) == list(leaf.chain)
    assert CA.issuer is not None
    assert CA.issuer.chain == (CA.issuer.certificate,)
    assert FORGE.server(None, "alone.test").chain[0].issuer == FORGE.server(None, "alone.test").chain[0].subject


def test_chain_and_key_are_written_and_the_key_is_private(tmp_path: Path) -> None:
    leaf = FORGE.server(CA, "fe1.example.test")
    chain, key = leaf.write(tmp_path / "new", "fe1")
    assert key.stat().st_mode & 0o777 == 0o600
    taken = Forged.read(chain, key, CA)
    assert taken.certificate == leaf.certificate
    assert taken.key.public_key() == leaf.key.public_key()
    assert FORGE.server(taken, "x.test").certificate.issuer == leaf.certificate.subject


@pytest.mark.parametrize(
    ("change", "oid"),
    [
        ({"ca": True}, x509.BasicConstraints.oid),
        ({"uris": ("sip:other.test",)}, x509.SubjectAlternativeName.oid),
        ({"usages": ()}, x509.ExtendedKeyUsage.oid),
        ({"with_aki": False}, x509.AuthorityKeyIdentifier.oid),
        ({"with_key_usage": False}, x509.KeyUsage.oid),
        ({"digital_signature": False}, x509.KeyUsage.oid),
        ({"permitted": (x509.DNSName("a.test"),)}, x509.NameConstraints.oid),
        ({"crl_points": ("http://crl.test/",)}, x509.CRLDistributionPoints.oid),
    ],
)
def test_one_argument_changes_one_extension(change: dict[str, object], oid: x509.ObjectIdentifier) -> None:
    cert_sign = {"cert_sign": False, "reuse": FORGE.server(CA, "x.test").key}
    twin = FORGE.server(CA, "fe1.example.test", **cert_sign).certificate
    impostor = FORGE.server(CA, "fe1.example.test", **cert_sign | change).certificate
    differing = {held.oid for held in twin.extensions} ^ {held.oid for held in impostor.extensions}
    differing |= {
        held.oid
        for held in twin.extensions
        for other in impostor.extensions
        if held.oid == other.oid and held.value.public_bytes() != other.value.public_bytes()
    }
    assert differing - _follows(change) == {oid}


def _follows(change: dict[str, object]) -> set[x509.ObjectIdentifier]:
    """A CA may also sign CRLs."""
    return {x509.KeyUsage.oid} if "ca" in change else set()


def test_times_and_serial_are_as_requested() -> None:
    held = FORGE.forge(Wish(begins=timedelta(0), ends=timedelta(hours=1), serial=0xBAD), CA).certificate
    assert (held.not_valid_before_utc, held.not_valid_after_utc) == (NOON, NOON + timedelta(hours=1))
    assert held.serial_number == 0xBAD
    over = FORGE.forge(Wish(ends=-timedelta(days=1)), CA).certificate
    assert over.not_valid_before_utc < over.not_valid_after_utc == NOON - timedelta(days=1)


def test_leaves_share_one_key_of_a_kind_and_authorities_have_their_own() -> None:
    one, other = FORGE.server(CA, "a.test"), FORGE.server(CA, "b.test")
    assert one.key is other.key
    assert FORGE.server(CA, "a.test", key=KeyKind.RSA_2048).key is not one.key
    assert FORGE.organisation("A").key is not FORGE.organisation("B").key


def test_crls_have_the_requested_times_and_serials() -> None:
    leaf = FORGE.server(CA, "a.test")
    crl = x509.load_pem_x509_crl(FORGE.revocations(CA, [leaf, 7], ends=timedelta(hours=1), number=5))
    assert {entry.serial_number for entry in crl} == {leaf.certificate.serial_number, 7}
    assert crl.next_update_utc == NOON + timedelta(hours=1)
    assert crl.is_signature_valid(CA.key.public_key())
    assert not x509.load_pem_x509_crl(FORGE.revocations(CA, key=leaf.key)).is_signature_valid(CA.key.public_key())


def test_forge_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="timezone"):
        Forge(datetime(2026, 3, 1))  # noqa: DTZ001 - the fault of this test


def test_key_of_another_type_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    chain, key = FORGE.server(CA, "a.test").write(tmp_path, "a")
    odd = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(odd.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(TypeError, match="Ed25519"):
        Forged.read(chain, key)
