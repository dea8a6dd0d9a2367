"""What the CA gives to whom a certificate was issued for. Nothing of it is in a file yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from sipmesh.pki.files import make_readable_folder
from sipmesh.pki.key_pair import write_pair

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A new certificate with its key. It is not in a file yet."""

    certificate: x509.Certificate
    chain: bytes  # PEM: the leaf, then the issuing CA
    key: bytes  # PEM, PKCS #8, encrypted where a passphrase is configured

    def write(self, certificate_file: Path, key_file: Path) -> None:
        """Write certificate chain and key into files, the key first and with mode 0600."""
        for file in (certificate_file, key_file):
            make_readable_folder(file.parent)
        write_pair(certificate_file, self.chain, key_file, self.key)

    def __repr__(self) -> str:
        return f"<Issued {self.certificate.subject.rfc4514_string()} {self.certificate.serial_number:x}>"


@dataclass(frozen=True, slots=True)
class Certified:
    """A new certificate for a key on another machine. *chain* is PEM: the leaf, then the issuing CA."""

    certificate: x509.Certificate
    chain: bytes


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToPerson:
    """A new certificate of an operator or a device with its key and its issuers, nearest first. Nothing is in a file yet."""

    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def pkcs12(self, name: str, passphrase: str) -> bytes:
        """Return all of it for a browser or a phone, encrypted with *passphrase* (RFC 7292, with PBES2 and AES-256)."""
        sealed = BestAvailableEncryption(passphrase.encode())
        return serialize_key_and_certificates(name.encode(), self.key, self.certificate, self.issuers, sealed)

    def pem_key(self) -> bytes:
        """Return the key for a device, which has no passphrase: PEM, PKCS #8, not encrypted. Write it with mode 0600 only."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"<IssuedToPerson {self.certificate.subject.rfc4514_string()} {self.certificate.serial_number:x}>"
