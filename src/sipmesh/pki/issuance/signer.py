"""The only module that reads the private keys of the CA, and signs with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.keys.algorithm import KeyAlgorithm, digest

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import ocsp

    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.keys.algorithm import OwnKey
    from sipmesh.pki.ledger.ticket import CrlTicket, Ticket


class CaSigner:
    """Signs for one CA. The key is read from its file for each signature, and is not kept in memory."""

    def __init__(self, kind: CertificateKind, key_file: Path, certificate: x509.Certificate | None = None) -> None:
        self.kind, self.key_file, self.certificate = kind, key_file, certificate

    def sign(self, builder: x509.CertificateBuilder, ticket: Ticket) -> x509.Certificate:
        """Sign the certificate of *ticket*. A ticket is valid for one signature."""
        key = self._key(ticket)
        return builder.serial_number(ticket.spend()).sign(key, digest(key))

    def sign_list(
        self, builder: x509.CertificateRevocationListBuilder, ticket: CrlTicket
    ) -> x509.CertificateRevocationList:
        """Sign the CRL of *ticket*. A ticket is valid for one signature."""
        key = self._key(ticket)
        return _numbered(builder, ticket.spend()).sign(key, digest(key))

    def sign_ocsp_response(self, builder: ocsp.OCSPResponseBuilder) -> ocsp.OCSPResponse:
        """Sign an OCSP response. It needs no ticket: it says what the ledger has, and is valid for an hour."""
        key = self._read_key()
        return builder.sign(key, digest(key))

    def _key(self, ticket: Ticket) -> OwnKey:
        if ticket.issuer is not self.kind:
            raise LocalError(f"{ticket!r} is for the {ticket.issuer} CA, not for {self.kind}")
        return self._read_key()

    def _read_key(self) -> OwnKey:
        key = files.read_key(self.key_file)
        if self.certificate and key.public_key() != self.certificate.public_key():
            remedy = "restore certificate and key from the same backup"
            problem = Problem(self.key_file, 0, "", f"is not the key of the {self.kind} certificate", remedy)
            raise OperatorError("a private key cannot be used", (problem,))
        return key


def draft(builder: x509.CertificateBuilder, serial: int, algorithm: KeyAlgorithm) -> x509.Certificate:
    """Sign the certificate with a throwaway key, so that it can be checked before the CA's key is used."""
    key = algorithm.new_key()
    return builder.serial_number(serial).sign(key, digest(key))


def draft_list(
    builder: x509.CertificateRevocationListBuilder, number: int, algorithm: KeyAlgorithm
) -> x509.CertificateRevocationList:
    """Sign the CRL with a throwaway key, so that it can be checked before the CA's key is used."""
    key = algorithm.new_key()
    return _numbered(builder, number).sign(key, digest(key))


def _numbered(builder: x509.CertificateRevocationListBuilder, number: int) -> x509.CertificateRevocationListBuilder:
    return builder.add_extension(x509.CRLNumber(number), critical=False)
