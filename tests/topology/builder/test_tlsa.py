"""TLSA data of certificates, compared with what OpenSSL says of the same key."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.topology.builder.tlsa import tlsa_name, tlsa_of_ca, tlsa_of_chain
from transport.authority import Authority


def key_digest(certificate: x509.Certificate) -> str:
    """The SHA-256 of the public key, by the program of OpenSSL."""
    pem = certificate.public_bytes(Encoding.PEM)
    key = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=pem, capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True)
    return hashlib.sha256(der.stdout).hexdigest()


def test_record_names_the_key_of_the_ca_or_of_a_leaf_alone(tmp_path: Path) -> None:
    first, second = (Authority.create(tmp_path / name, name).root for name in ("one", "two"))
    assert tlsa_of_ca(first) == f"2 1 1 {key_digest(first)}"
    assert tlsa_of_chain([second, first]) == f"2 1 1 {key_digest(first)}"
    assert tlsa_of_chain([second]) == f"3 1 1 {key_digest(second)}"


def test_name_has_the_port_and_the_transport() -> None:
    assert tlsa_name("fe1.example.test", 5061) == "_5061._tcp.fe1.example.test"
