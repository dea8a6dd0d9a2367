"""OCSP responses of our CA, read by its relying parties: our own judge, and OpenSSL."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.ocsp.responder import LARGEST_REQUEST, MALFORMED, UNAUTHORIZED, VALID, answer
from sipmesh.trust.revocation.freshness import look_at_answer
from sipmesh.trust.role import Role

NOW = datetime.now(UTC).replace(microsecond=0)
NAME = "fe1.example.test"


@pytest.fixture(name="ca", params=[KeyAlgorithm.P_256, KeyAlgorithm.ML_DSA_44])
def _ca(request: pytest.FixtureRequest, tmp_path: Path) -> EnterpriseCa:
    url = "http://crl.example.test"
    return EnterpriseCa.create(tmp_path / "ca", "Example", NOW, crl_base=url, algorithm=request.param)


SHA256 = hashes.SHA256()


def request(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    hashed: hashes.HashAlgorithm = SHA256,
    nonce: bytes | None = None,
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashed)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def never_issued(ca: EnterpriseCa) -> bytes:
    """A request about a serial number that the CA has given to no certificate."""
    asked = ocsp.load_der_ocsp_request(request(ca.issue((NAME,), Role.FRONT_END, NOW).certificate, ca.issuing))
    by_hash = (asked.issuer_name_hash, asked.issuer_key_hash, 4711, SHA256)
    return ocsp.OCSPRequestBuilder().add_certificate_by_hash(*by_hash).build().public_bytes(Encoding.DER)


def status(ca: EnterpriseCa, asked: bytes, at: datetime = NOW) -> ocsp.OCSPResponse:
    found = ocsp.load_der_ocsp_response(answer([ca], asked, at).body)
    assert found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    return found


@pytest.mark.parametrize("hashed", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])  # noqa: S303 - the certID
def test_issued_certificate_is_good_until_it_is_revoked(ca: EnterpriseCa, hashed: hashes.HashAlgorithm) -> None:
    issued = ca.issue((NAME,), Role.FRONT_END, NOW).certificate
    asked = request(issued, ca.issuing, hashed)
    good = status(ca, asked)
    assert (good.certificate_status, good.next_update_utc) == (ocsp.OCSPCertStatus.GOOD, NOW + VALID)
    ca.revoke(issued.serial_number, Reason.KEY_COMPROMISE, NOW)
    revoked = status(ca, asked)
    assert revoked.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert revoked.revocation_reason is x509.ReasonFlags.key_compromise
    assert revoked.revocation_time_utc == NOW


def test_certificate_that_was_never_issued_is_unknown(ca: EnterpriseCa) -> None:
    assert status(ca, never_issued(ca)).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_issuing_ca_is_judged_by_its_root(ca: EnterpriseCa) -> None:
    found = status(ca, request(ca.issuing, ca.root))
    assert found.certificate_status is ocsp.OCSPCertStatus.GOOD
    key: Any = ca.root.public_key()
    ecdsa = [ec.ECDSA(SHA256)] if isinstance(key, ec.EllipticCurvePublicKey) else []
    key.verify(found.signature, found.tbs_response_bytes, *ecdsa)


def test_our_own_judge_accepts_the_response(ca: EnterpriseCa) -> None:
    issued = ca.issue((NAME,), Role.FRONT_END, NOW).certificate
    now = datetime.now(UTC)  # OpenSSL writes producedAt by its own clock
    body = answer([ca], request(issued, ca.issuing), now).body
    look_at_answer(body, (issued, ca.issuing), None, at=now + timedelta(seconds=1))


def test_nonce_comes_back_and_such_a_response_is_not_kept(ca: EnterpriseCa) -> None:
    issued = ca.issue((NAME,), Role.FRONT_END, NOW).certificate
    with_nonce = answer([ca], request(issued, ca.issuing, nonce=b"n" * 32), NOW)
    found = ocsp.load_der_ocsp_response(with_nonce.body)
    assert found.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32
    assert with_nonce.until is None
    assert answer([ca], request(issued, ca.issuing), NOW).until == NOW + VALID


@pytest.mark.parametrize("asked", [b"", b"0", b"\x30\x00", b"\x30" * 5000, bytes(LARGEST_REQUEST + 1)])
def test_garbage_is_malformed(ca: EnterpriseCa, asked: bytes) -> None:
    assert answer([ca], asked, NOW) == MALFORMED


def test_long_nonce_is_malformed(ca: EnterpriseCa) -> None:
    assert answer([ca], request(ca.issuing, ca.root, nonce=b"n" * 129), NOW) == MALFORMED
    assert answer([ca], request(ca.issuing, ca.root, nonce=b"n" * 128), NOW) != MALFORMED


def test_certificate_of_another_ca_is_not_judged(ca: EnterpriseCa, tmp_path: Path) -> None:
    other = EnterpriseCa.create(tmp_path / "other", "Other", NOW, crl_base="http://crl.other.test")
    issued = other.issue((NAME,), Role.FRONT_END, NOW).certificate
    assert answer([ca], request(issued, other.issuing), NOW) == UNAUTHORIZED
    assert answer([ca, other], request(issued, other.issuing), NOW) != UNAUTHORIZED


def test_ca_without_its_key_here_is_not_authorised(ca: EnterpriseCa) -> None:
    (ca.folder / "root.key").rename(ca.folder.parent / "root.key")
    assert answer([ca], request(ca.issuing, ca.root), NOW) == UNAUTHORIZED


def test_revocation_that_the_ledger_lost_is_that_of_the_crl(ca: EnterpriseCa) -> None:
    """A stolen database of management cannot bring back what was revoked."""
    issued = ca.issue((NAME,), Role.FRONT_END, NOW).certificate
    before = (ca.folder / "ledger.db").read_bytes()
    ca.revoke(issued.serial_number, Reason.KEY_COMPROMISE, NOW)
    for file in ca.folder.glob("ledger.db*"):
        file.unlink()
    (ca.folder / "ledger.db").write_bytes(before)
    again = EnterpriseCa.open(ca.folder)
    assert status(again, request(issued, ca.issuing)).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_openssl_accepts_the_response(ca: EnterpriseCa, tmp_path: Path) -> None:
    issued = ca.issue((NAME,), Role.FRONT_END, NOW).certificate
    files = {"leaf": issued, "issuing": ca.issuing, "root": ca.root}
    for name, certificate in files.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "answer.der").write_bytes(answer([ca], request(issued, ca.issuing, hashes.SHA1()), NOW).body)  # noqa: S303
    trust = "-CAfile root.pem -verify_other issuing.pem"
    command = f"openssl ocsp -issuer issuing.pem -cert leaf.pem -respin answer.der {trust} -no_nonce"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert "Response verify OK" in done.stderr
    assert "leaf.pem: good" in done.stdout
