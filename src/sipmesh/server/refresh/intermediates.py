"""The issuing CAs of partners, as seen on links: with them, fetched CRLs can be checked.

A partner's anchors are in the topology, but the CAs below them are only in its handshakes. They are stored on disk. So also
after a start, a CRL that its CA has not signed is refused.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki import files
from sipmesh.pki.file_error import FileError
from sipmesh.trust.x509.certificate import UNREADABLE, is_authority, issued_by, may_sign_certificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST_ISSUERS = 256


class KnownIntermediates:
    """CA certificates of verified paths, stored in *file*."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._certificates: dict[x509.Certificate, None] = {}
        with suppress(OSError, *UNREADABLE):
            self._certificates = dict.fromkeys(x509.load_pem_x509_certificates(file.read_bytes()))

    def __repr__(self) -> str:
        return f"<KnownIntermediates {len(self._certificates)} in {self._file}>"

    def remember(self, issuers: Iterable[x509.Certificate]) -> None:
        """Store *issuers*, which are on a verified path; the oldest are dropped at the limit."""
        new = [certificate for certificate in issuers if certificate not in self._certificates]
        if not new:
            return
        self._certificates.update(dict.fromkeys(new))
        for oldest in list(self._certificates)[: max(0, len(self._certificates) - MOST_ISSUERS)]:
            del self._certificates[oldest]
        with suppress(FileError):  # a certificate that cannot be stored is known until this process ends
            files.write(
                self._file, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self._certificates)
            )

    def below(self, anchors: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        """Return the stored CAs that lead to one of *anchors* through CAs; other content of the file is ignored."""
        found: list[x509.Certificate] = []
        remaining = [
            certificate
            for certificate in self._certificates
            if is_authority(certificate) and may_sign_certificates(certificate)
        ]
        while more := [
            certificate
            for certificate in remaining
            if any(issued_by(certificate, above) for above in (*anchors, *found))
        ]:
            found += more
            remaining = [certificate for certificate in remaining if certificate not in more]
        return found
