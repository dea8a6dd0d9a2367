"""The CRLs of one authority that its certificates name. The server that fetches them lists their URLs in a file.

Every process of the server reads that file with the topology, and again when it changes. So the CRLs are those of files, like
all others.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from sipmesh.topology.document.named_files.crl_files import FETCHED, ListFile
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.trust.revocation.crl_point import CrlPoint, is_allowed
from sipmesh.typed_json import UnreadableJsonError, plain, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sipmesh.errors import Problem
    from sipmesh.topology.document.yaml_tree import Loc

MOST_POINTS: Final = 64
"""CRLs of one authority that its certificates name: a partner has a few edges, each with one certificate."""

_LARGEST: Final = 4 << 20  # octets of the list of URLs


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A `CrlPoint` in JSON; *issuer* is in hex."""

    url: str
    names: tuple[str, ...]
    issuer: str
    until: datetime

    @classmethod
    def of(cls, point: CrlPoint) -> Self:
        """Return a distribution point as it is stored."""
        return cls(point.url, point.names, point.issuer.hex(), point.until)

    def point(self) -> CrlPoint:
        """Return it as a distribution point; raises `ValueError`."""
        return CrlPoint(self.url, self.names, bytes.fromhex(self.issuer), self.until)


@dataclass(frozen=True, slots=True)
class _StoredPoints:
    """The content of the file."""

    points: tuple[StoredPoint, ...]


@dataclass(frozen=True, slots=True)
class CrlPoints:
    """The list of URLs of one authority, in the file *index*; *hosts* are those that the topology allows.

    *loc* is the place of `crl_hosts`, *fault* the problem of a bad CRL without its reason, *largest* its maximum octets.
    """

    index: Path
    loc: Loc
    hosts: frozenset[str]
    fault: Problem
    largest: int

    @classmethod
    def of(
        cls, folder: Path, authority: str, loc: Loc, hosts: Iterable[str], fault: Problem, largest: int
    ) -> CrlPoints:
        """Return the list of the *authority* of that name. *folder* is that of the organisation."""
        name = hashlib.sha256(authority.encode()).hexdigest()[:16]
        return cls(folder / FETCHED / f"{name}.points", loc, frozenset(hosts), fault, largest)

    def read(self) -> tuple[ListFile, ...]:
        """Return a CRL file for each stored URL; those at hosts that are not allowed any more are left out."""
        try:
            stored = read_document(_StoredPoints, read_file(self.index, _LARGEST)).points[:MOST_POINTS]
            points = {point.mark: point for each in stored if is_allowed((point := each.point()).url, self.hosts)}
        except (UnusableFileError, UnreadableJsonError, ValueError):
            return ()  # a lost list is made again by the handshakes that follow
        return tuple(map(self._entry, points.values()))

    @staticmethod
    def encode(points: Iterable[CrlPoint]) -> bytes:
        """Return the content of the file for these points."""
        stored = _StoredPoints(tuple(map(StoredPoint.of, points)))
        return json.dumps(stored, default=plain).encode()

    def file_of(self, point: CrlPoint) -> Path:
        """Return the file of the CRL at *point*. Its name contains the authority, because two may have the same point."""
        return self.index.with_name(f"{self.index.stem}-{point.mark}.crl")

    def _entry(self, point: CrlPoint) -> ListFile:
        loc = (*self.loc, f"{point.url}#{point.mark[:8]}")
        return ListFile(
            loc, point.url, self.file_of(point), self.fault, fetched=True, largest=self.largest, point=point
        )
