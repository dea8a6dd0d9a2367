"""What the process of a server that has judged a peer asks of the process that fetches CRLs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sipmesh.topology.document.named_files.crl_points import StoredPoint
from sipmesh.trust.revocation.crl_point import CrlPoint, point_of
from sipmesh.typed_json import plain, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.server.refresh.authorities import NamedAuthority
    from sipmesh.trust.path.chain import Path as CertificationPath


@dataclass(frozen=True, slots=True)
class CrlRequest:
    """The CRLs of the authority of *owner* are needed; *points* are those that the certificates of the peer name.

    *accepted*: the peer was accepted, so its CRLs are at hand. Otherwise they have to be fetched.
    """

    owner: str
    points: tuple[StoredPoint, ...]
    accepted: bool

    @classmethod
    def of(cls, named: NamedAuthority, path: CertificationPath, *, accepted: bool) -> Self:
        """Return the request for a verified *path* of an authority."""
        return cls(named.owner, tuple(map(StoredPoint.of, _needed(named, path))), accepted)

    def encode(self) -> bytes:
        """Return the octets for another process."""
        return json.dumps(self, default=plain).encode()

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Read what another process of this server has sent."""
        return read_document(cls, octets)


def _needed(named: NamedAuthority, path: CertificationPath) -> Iterator[CrlPoint]:
    """Give the distribution points of a path whose CRLs the topology does not name itself."""
    known = {entry.point.mark for entry in named.files.files if entry.point is not None}
    for depth, certificate in enumerate(path[:-1]):
        issuer = path[depth + 1]
        point = point_of(certificate, issuer, named.entry.crl_hosts)
        if point is not None and (point.mark in known or named.authority.lists.find(certificate, issuer) is None):
            yield point
