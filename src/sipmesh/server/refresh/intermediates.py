"""The issuing CAs of partners, as seen on links: with them, fetched CRLs can be checked.

A partner's anchors are in the topology, but the CAs below them are only in its handshakes. They are stored on disk. So also
after a start, a CRL that its CA has not signed is refused.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.pki import files
from sipmesh.pki.file_error import FileError
from sipmesh.server.process.file_stamps import stamp
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.topology.document.named_files.trust_anchors import LARGEST_ANCHORS, parse_certificates
from sipmesh.trust.path.chain import walk
from sipmesh.trust.x509.certificate import fingerprint, is_authority, may_sign_certificates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from sipmesh.server.process.file_stamps import Stamp
    from sipmesh.trust.path.chain import Path as CertificationPath

MOST_OF_ANCHOR: Final = 32
"""CAs below one anchor that are stored. A partner may show a new one in each handshake, and must not displace those of others."""


@dataclass(slots=True)
class _Below:
    """The CAs below one anchor; *stamp* is that of their file when it was read or written last."""

    known: dict[x509.Certificate, None] = field(default_factory=dict)
    stamp: Stamp = None

    def add(self, found: Iterable[x509.Certificate]) -> None:
        """Add CAs, and drop the oldest of too many."""
        self.known.update(dict.fromkeys(found))
        while len(self.known) > MOST_OF_ANCHOR:
            del self.known[next(iter(self.known))]


class KnownIntermediates:
    """CA certificates of verified paths, by the anchor of their path; those of each anchor are in a file below *folder*.

    Other processes of this server write to the same files: what they have stored is read too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._of_anchor: dict[x509.Certificate, _Below] = {}

    def remember(self, path: CertificationPath) -> bool:
        """Store the CAs between leaf and anchor of a verified *path*; returns whether one of them is new."""
        anchor, between = path[-1], path[1:-1]
        below = self._read(anchor)
        if below.known.keys() >= set(between):
            return False
        below.add(between)
        file = self._file(anchor)
        with suppress(FileError):  # a certificate that cannot be stored is known until this process ends
            files.write(file, files.certificates_pem(below.known))
            below.stamp = stamp(file)
        return True

    def below(self, anchors: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        """Return the CAs that are known below one of *anchors*."""
        return [found for anchor in anchors for found in self._read(anchor).known]

    def _read(self, anchor: x509.Certificate) -> _Below:
        """Return the CAs below *anchor*, with those that its file has now."""
        below, now = self._of_anchor.setdefault(anchor, _Below()), stamp(self._file(anchor))
        if now != below.stamp:
            below.add(self._stored(anchor, below.known))
            below.stamp = now
        return below

    def _stored(self, anchor: x509.Certificate, known: Collection[x509.Certificate]) -> list[x509.Certificate]:
        """Return what the file of *anchor* has beside *known*. What is not a CA that leads to the anchor is ignored."""
        stored: list[x509.Certificate] = []
        with suppress(UnusableFileError):
            stored = parse_certificates(read_file(self._file(anchor), LARGEST_ANCHORS))[-MOST_OF_ANCHOR:]
        able = [found for found in stored if is_authority(found) and may_sign_certificates(found)]
        return [found for found in able if found not in known and next(walk(found, able, [anchor]), None) is not None]

    def _file(self, anchor: x509.Certificate) -> Path:
        return self._folder / f"issuers-{fingerprint(anchor)[:32]}.pem"
