"""The issuing CAs of partners, as they have shown themselves on links: their lists can be checked when they come.

A partner's anchors are in the topology, the CAs below them only in its handshakes. They are kept on disk, so that after a
start nobody can have us take a list that its CA has not signed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki import files
from sipmesh.trust.x509.certificate import UNREADABLE, is_authority, issued_by, may_sign_certificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST_ISSUERS = 256


class KnownIntermediates:
    """CA certificates that stood on a verified path, kept in *file*."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: dict[x509.Certificate, None] = {}
        with suppress(OSError, *UNREADABLE):
            self._held = dict.fromkeys(x509.load_pem_x509_certificates(file.read_bytes()))

    def __repr__(self) -> str:
        return f"<KnownIntermediates {len(self._held)} in {self._file}>"

    def remember(self, issuers: Iterable[x509.Certificate]) -> None:
        """Keep *issuers*, which stand on a path that was verified; the oldest give way."""
        new = [certificate for certificate in issuers if certificate not in self._held]
        if not new:
            return
        self._held.update(dict.fromkeys(new))
        for oldest in list(self._held)[: max(0, len(self._held) - MOST_ISSUERS)]:
            del self._held[oldest]
        with suppress(OSError):  # what cannot be kept is known until the end of this process all the same
            files.write(self._file, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self._held))

    def below(self, anchors: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        """Give the CAs that lead to one of *anchors* over CAs, of whatever else is kept or was put into the file."""
        found: list[x509.Certificate] = []
        left = [
            certificate
            for certificate in self._held
            if is_authority(certificate) and may_sign_certificates(certificate)
        ]
        while more := [
            certificate for certificate in left if any(issued_by(certificate, above) for above in (*anchors, *found))
        ]:
            found += more
            left = [certificate for certificate in left if certificate not in more]
        return found
