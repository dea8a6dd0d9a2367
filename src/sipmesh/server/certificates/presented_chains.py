"""The TLSA data of each port that phones and partners use, from the certificates that servers present there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.tlsa import tlsa_of_ca, tlsa_of_chain
from sipmesh.topology.document.listeners import listeners
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.topology.builder.tlsa import TlsaData
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


def tlsa_data(loaded: Loaded, generations: Callable[[], CaGenerations]) -> TlsaData:
    """Return the data of all TLSA records of a topology; nothing unless it has `dane`.

    Certificates of our own CA are named by its issuing CAs: the present one, those of certificates that are still in use, and a
    prepared one, so that its record is there before it issues (RFC 7671 section 8.1). *generations* returns our CAs, or raises
    `OperatorError` on a machine without them. Raises `OperatorError` also for a certificate of another CA whose file is not on
    this machine.
    """
    if not loaded.topology.dane:
        return {}
    ours = list(dict.fromkeys(tlsa_of_ca(ca.issuing) for ca in generations().alive))
    found: dict[tuple[str, int], list[str]] = {}
    for pool in loaded.topology.pools:
        for server in pool.servers:
            seen = view(loaded, server.name)
            for spec in listeners(loaded.topology, pool, server):
                data = found.setdefault((spec.name, spec.port), [])
                data += [one for one in _data(seen, spec.kind, ours) if one not in data]
    return found


def _data(seen: ServerView, kind: LinkKind, ours: Sequence[str]) -> Iterator[str]:
    """Give the data for each chain that a server may present on links of *kind*."""
    own = seen.identity(kind)[0]
    if own == seen.loaded.folder / f"servers/{seen.name}.pem":
        yield from ours
    else:
        yield _of_file(own)
    if kind is LinkKind.CLIENT:
        yield from (_of_file(files.certificate) for files in seen.client_certificates)


def _of_file(file: Path) -> str:
    try:
        return tlsa_of_chain(read_certificates(file))
    except UnusableFileError as wrong:
        raise OperatorError(f"{file} {wrong}; it is needed for the TLSA records") from None
