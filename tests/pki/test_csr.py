"""Requests of servers whose key stays on their own machine (RFC 2986)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.csr import read_person_key, read_request, request_for
from support.mersenne_keys import LARGEST, LONG_EXPONENT, TOO_LARGE

FILE = Path("fe2.csr")
FE2, FE3 = "fe2.example.test", "fe3.example.test"


def request(*names: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A request by other hands."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    made = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


def damaged(content: bytes) -> bytes:
    """The same request with one bit of its signature turned."""
    der = bytearray(x509.load_pem_x509_csr(content).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)


def test_request_gives_the_name_and_the_key_that_it_was_made_for() -> None:
    key = files.new_key()
    assert read_request(request_for(FE2, key), FILE) == (FE2, key.public_key())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"nothing", "not a readable request"),
        (damaged(request_for(FE2, files.new_key())), "not signed with its own key"),
        (request(FE2, FE3, key=files.new_key()), "one server"),
        (request("*.example.test", key=files.new_key()), "one server"),
        (request(FE2, key=rsa.generate_private_key(65537, 2048)), "not ECDSA"),
        (request(FE2, key=ec.generate_private_key(ec.SECP224R1())), "not ECDSA"),
    ],
)
def test_what_is_no_request_of_one_server_with_its_key_is_not_granted(content: bytes, why: str) -> None:
    with pytest.raises(OperatorError) as refused:
        read_request(content, FILE)
    assert re.search(why, refused.value.problems[0].reason)


def test_request_of_an_operator_gives_its_key_with_any_names() -> None:
    for key in (files.new_key(), files.new_rsa_key()):
        for names in ((), (FE2,), (FE2, FE3)):
            assert read_person_key(request(*names, key=key), FILE) == key.public_key()


def test_request_of_an_operator_that_is_damaged_or_of_another_kind_is_refused() -> None:
    rightful = request(key=files.new_key())
    for content in (damaged(rightful), b"", b"-----BEGIN CERTIFICATE REQUEST-----\n", rightful[:200]):
        with pytest.raises(OperatorError, match="is not issued"):
            read_person_key(content, FILE)
    odd = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(ed25519.Ed25519PrivateKey.generate(), None)
    with pytest.raises(OperatorError, match="is not issued"):
        read_person_key(odd.public_bytes(Encoding.PEM), FILE)


@pytest.mark.parametrize(
    ("key", "why"),
    [(TOO_LARGE, "an RSA key of 15636 bits"), (LONG_EXPONENT, "an exponent of 2701 bits")],
    ids=["RSA-15636", "exponent of 2701 bits"],
)
def test_key_that_is_costly_to_verify_with_is_refused_before_the_signature_of_the_request_is_verified(
    key: rsa.RSAPrivateKey, why: str
) -> None:
    content = damaged(request(FE2, key=key))
    with pytest.raises(OperatorError) as refused:
        read_person_key(content, FILE)
    assert why in refused.value.problems[0].reason
    with pytest.raises(OperatorError) as refused:
        read_request(content, FILE)
    assert "not ECDSA" in refused.value.problems[0].reason
    assert read_person_key(request(FE2, key=LARGEST), FILE) == LARGEST.public_key()
