"""A root whose key is on another machine: it makes signing requests, and installs what the root has signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.crl.issue import drafted_crl
from sipmesh.pki.crl.updater import next_crl
from sipmesh.pki.device_ca import device_ca_wish
from sipmesh.pki.issuance import lint, profiles
from sipmesh.pki.issuance.issue import algorithm_of, own_key
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issuance.signer import draft
from sipmesh.pki.lock import ca_lock
from sipmesh.pki.offline.cross_certificate import CROSS, cross_wish
from sipmesh.pki.offline.request import OfflineKind, OfflineRequest
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.issuance.profiles import CertificateProfile
    from sipmesh.pki.ledger.ledger import Ledger
    from sipmesh.pki.offline.cross_certificate import CaFolder


class OfflineRoot:
    """The signing requests of one CA to its root; at most one of each kind is open."""

    def __init__(self, ca: CaFolder, ledger: Ledger) -> None:
        self._ca, self._ledger = ca, ledger

    def request_crl(self, at: datetime) -> OfflineRequest:
        """Return the request for the next CRL of the root; its number is reserved in the ledger."""
        with ca_lock(self._ca.folder):
            wish, _ = next_crl(self._ca.folder, CertificateKind.ROOT, self._ca.root, self._ledger, at)
            drafted = drafted_crl(wish, self._ca.folder).public_bytes(Encoding.DER)
            return self._sent(OfflineRequest(OfflineKind.LIST, fingerprint(self._ca.root), drafted))

    def request_cross(self, other: CaFolder, at: datetime) -> OfflineRequest:
        """Return the request for the cross-certificate of the issuing CA of the next generation."""
        return self._request(OfflineKind.CROSS, cross_wish(self._ca, other), at)

    def request_devices(self, domains: Sequence[str], at: datetime) -> OfflineRequest:
        """Return the request for the certificate of the device issuing CA, for the SIP *domains*."""
        wish = device_ca_wish(self._ca.folder, self._ledger, self._ca.root, domains, at)
        return self._request(OfflineKind.DEVICES, wish, at)

    def _request(self, what: OfflineKind, wish: CertificateProfile, at: datetime) -> OfflineRequest:
        with ca_lock(self._ca.folder):
            builder = profiles.builder(wish, self._ca.root.subject, own_key(self._ca.root))
            drafted = draft(builder, x509.random_serial_number(), algorithm_of(own_key(self._ca.root)))
            lint.refuse(lint.lint(drafted, wish, self._ca.root), self._ca.folder)
            names = (wish.subject.rfc4514_string(),)
            validity = (wish.not_before, wish.not_after)
            self._ledger.reserve(drafted.serial_number, CertificateKind.ROOT, wish.kind, names, validity, at)
            return self._sent(OfflineRequest(what, fingerprint(self._ca.root), drafted.public_bytes(Encoding.DER)))

    def accept(self, answer: OfflineRequest, other: CaFolder | None) -> Path:
        """Install what the root has signed, if it has the octets of the open request; returns the installed file.

        *other* is the next generation, for its cross-certificate. Raises `OperatorError` if there is no such request, or if the
        result differs from it or is not signed by the root.
        """
        asked = self._ca.folder / f"errand-{answer.what}.json"
        if not asked.exists():
            raise OperatorError("there is no open signing request; to make it: sipmesh ca root request")
        with ca_lock(self._ca.folder):
            answer.must_be(OfflineRequest.read(asked.read_bytes(), asked))
            answer.must_be_signed_by(self._ca.root)
            if answer.what is OfflineKind.LIST:
                file = self._ca.folder / "root.crl"
                files.write(file, answer.list().public_bytes(Encoding.PEM))
            else:
                file = self._place_of(answer.what, other)
                made = answer.certificate()
                self._ledger.issued(made.serial_number, answer.body)
                files.write(file, made.public_bytes(Encoding.PEM))
            asked.unlink()
        return file

    def _place_of(self, what: OfflineKind, other: CaFolder | None) -> Path:
        if what is OfflineKind.DEVICES:
            return self._ca.folder / "devices.pem"
        if other is None:
            raise OperatorError("no next CA is prepared; first: sipmesh ca root prepare")
        return other.folder / CROSS

    def _sent(self, request: OfflineRequest) -> OfflineRequest:
        files.write(self._ca.folder / f"errand-{request.what}.json", request.encode())
        return request
