"""A signing request for a root whose key is on another machine: a file that an operator carries there and back.

The file contains the CRL or certificate itself, signed with a throwaway key. The root signs the same octets again. So a document
that comes back either has the octets of the request, or is refused.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.crl.builder import CrlProfile
from sipmesh.pki.crl.earlier import number_of
from sipmesh.pki.crl.lint import lint_crl
from sipmesh.pki.device_ca import device_domains
from sipmesh.pki.issuance.lint import lint, refuse
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.keys.algorithm import OwnPublicKey, digest
from sipmesh.pki.ledger.records import ListRecord
from sipmesh.trust.x509.certificate import UNREADABLE, extension, fingerprint
from sipmesh.typed_json import Base64, UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.pki.keys.algorithm import OwnKey

ROOT_KEY: Final = "root.key"
DETACHED: Final = "root.detached.json"
"""File in the folder of a CA whose root key was moved offline: no host of a management pool gets or keeps the key."""

FORMAT = 1
REMEDY = "make the signing request again: sipmesh ca root request"


class OfflineKind(StrEnum):
    """The kind of document that the root signs."""

    LIST = "list"  # the root's CRL
    CROSS = "cross"  # the cross-certificate for the issuing CA of the next generation
    DEVICES = "devices"  # the certificate of the device issuing CA


@dataclass(frozen=True, slots=True)
class _Format:
    format: object


@dataclass(frozen=True, slots=True)
class OfflineRequest:
    """One document to sign; *root* is the SHA-256 of the root that has to sign it, in hex. *body* is DER."""

    what: OfflineKind
    root: str
    body: Base64

    def encode(self) -> bytes:
        """Return the content of the file."""
        body = base64.b64encode(self.body).decode()
        document = {"format": FORMAT, "what": self.what, "root": self.root, "body": body}
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, content: bytes, file: Path) -> OfflineRequest:
        """Read the *content* of a file; raises `OperatorError` if it is not a signing request."""
        try:
            if (found := read_document(_Format, content).format) != FORMAT:
                raise _unfit(file, f"is of format {found!r}, not {FORMAT}")
            return read_document(cls, content)
        except UnreadableJsonError as wrong:
            raise _unfit(file, f"is not a readable signing request ({wrong})") from None

    @property
    def summary(self) -> list[str]:
        """What the root has to sign, in words, for the owner of the key."""
        if self.what is OfflineKind.LIST:
            crl = self.list()
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            revoked = [f"  revoked: serial {entry.serial_number:x}" for entry in crl]
            return [f"CRL {number} of {crl.issuer.rfc4514_string()}, until {crl.next_update_utc:%Y-%m-%d}Z", *revoked]
        made = self.certificate()
        return [
            f"a certificate of {made.subject.rfc4514_string()}, which then issues for {self._below},",
            f"  under {made.issuer.rfc4514_string()}, until {made.not_valid_after_utc:%Y-%m-%d}Z, serial {made.serial_number:x}",
        ]

    @property
    def _below(self) -> str:
        if self.what is OfflineKind.DEVICES:
            return f"devices of users of {', '.join(device_domains(self.certificate()))}"
        return "servers"

    def list(self) -> x509.CertificateRevocationList:
        """Return the CRL; raises `OperatorError` if the document is not a CRL."""
        try:
            return x509.load_der_x509_crl(self.body)
        except UNREADABLE:
            raise OperatorError(f"the signing request contains no CRL; {REMEDY}") from None

    def certificate(self) -> x509.Certificate:
        """Return the certificate; raises `OperatorError` if the document is not a certificate."""
        try:
            return x509.load_der_x509_certificate(self.body)
        except UNREADABLE:
            raise OperatorError(f"the signing request contains no certificate; {REMEDY}") from None

    def signed(self, root: x509.Certificate, key: OwnKey) -> OfflineRequest:
        """Return the request, signed with the *key* of *root*; raises `OperatorError` if it is for another root.

        Raises LintRefusedError if it is not a CRL or a certificate that the CA may request.
        """
        if self.root != fingerprint(root) or key.public_key() != root.public_key():
            raise OperatorError(
                f"this signing request is for the root with SHA-256 {self.root}, and the root here is another; {REMEDY}"
            )
        refuse(self._faults(root), Path("the signing request"), "document")
        if self.what is OfflineKind.LIST:
            made = _list_like(self.list()).sign(key, digest(key)).public_bytes(Encoding.DER)
        else:
            made = _certificate_like(self.certificate()).sign(key, digest(key)).public_bytes(Encoding.DER)
        done = OfflineRequest(self.what, self.root, made)
        done.must_be(self)
        done.must_be_signed_by(root)
        return done

    def _faults(self, root: x509.Certificate) -> Sequence[str]:
        """Give what the profile of a root's CRL, or of an issuing CA, does not allow: the other machine may be an attacker's."""
        if self.what is OfflineKind.LIST:
            return lint_crl(self.list(), _list_profile(self.list(), root))
        return lint(self.certificate(), _issuing_profile(self.certificate(), self.what), root)

    def must_be(self, asked: OfflineRequest) -> None:
        """Raise `OperatorError` unless this has the same octets to be signed as the request *asked*."""
        same = self.what is asked.what and self.root == asked.root
        if same and self.what is OfflineKind.LIST:
            same = self.list().tbs_certlist_bytes == asked.list().tbs_certlist_bytes
        elif same:
            same = self.certificate().tbs_certificate_bytes == asked.certificate().tbs_certificate_bytes
        if not same:
            raise OperatorError(f"the signed content differs from the signing request; {REMEDY}")

    def must_be_signed_by(self, root: x509.Certificate) -> None:
        """Raise `OperatorError` unless the signature is that of *root*."""
        try:
            key = root.public_key()
            if self.what is OfflineKind.LIST:
                good = isinstance(key, OwnPublicKey) and self.list().is_signature_valid(key)
            else:
                self.certificate().verify_directly_issued_by(root)
                good = True
        except (InvalidSignature, ValueError, TypeError):
            good = False
        if not good:
            raise OperatorError(
                "the root has not signed this; on the machine with the root's key: sipmesh ca root sign"
            )


def _list_profile(crl: x509.CertificateRevocationList, root: x509.Certificate) -> CrlProfile:
    """Describe the CRL that a request has, as *root* may sign it."""
    end = crl.next_update_utc or crl.last_update_utc
    record = ListRecord(CertificateKind.ROOT, number_of(crl), crl.last_update_utc, end, 0)
    return CrlProfile(root, record, (), tuple(crl))


def _issuing_profile(made: x509.Certificate, what: OfflineKind) -> CertificateProfile:
    """Describe the issuing CA, or the device issuing CA, that a request has."""
    points = extension(made, x509.CRLDistributionPoints) or ()
    urls = [str(name.value) for point in points for name in point.full_name or ()]
    return CertificateProfile(
        kind=CertificateKind.DEVICES if what is OfflineKind.DEVICES else CertificateKind.ISSUING,
        subject=made.subject,
        names=(),
        key=_own_key(made),
        not_before=made.not_valid_before_utc,
        not_after=made.not_valid_after_utc,
        crl_url=urls[0] if urls else "",
        permitted=device_domains(made) if what is OfflineKind.DEVICES else (),
    )


def _own_key(made: x509.Certificate) -> OwnPublicKey:
    key = made.public_key()
    if not isinstance(key, OwnPublicKey):
        raise OperatorError(f"the signing request is for a key that is neither ECDSA nor ML-DSA-44; {REMEDY}")
    return key


def _list_like(crl: x509.CertificateRevocationList) -> x509.CertificateRevocationListBuilder:
    builder = x509.CertificateRevocationListBuilder().issuer_name(crl.issuer).last_update(crl.last_update_utc)
    if crl.next_update_utc is not None:
        builder = builder.next_update(crl.next_update_utc)
    for one in crl.extensions:
        builder = builder.add_extension(one.value, critical=one.critical)
    for entry in crl:
        builder = builder.add_revoked_certificate(entry)
    return builder


def _certificate_like(made: x509.Certificate) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(made.subject)
        .issuer_name(made.issuer)
        .public_key(_own_key(made))
        .serial_number(made.serial_number)
        .not_valid_before(made.not_valid_before_utc)
        .not_valid_after(made.not_valid_after_utc)
    )
    for one in made.extensions:
        builder = builder.add_extension(one.value, critical=one.critical)
    return builder


def _unfit(file: Path, reason: str) -> OperatorError:
    return OperatorError("nothing was signed", (Problem(file, 0, "", reason, REMEDY),))
