"""Certificates and CRLs that the inventory reads: from the files of this machine, and from the topology in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.expiry.inventory import Side, sides, signer_files
from sipmesh.topology.expiry.validity import Chain, DatedItem

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded


def on_disk(loaded: Loaded, only: str = "") -> dict[Side, Chain]:
    """Return the chains in the files of our servers, or of *only* one; files that are not on this machine are left out."""
    found = dict(sides(loaded.topology, only))
    return {side: _read(loaded.folder / file, file) for side, file in found.items() if (loaded.folder / file).exists()}


def signers_on_disk(loaded: Loaded, only: str = "") -> dict[str, Chain]:
    """Return the same for the certificates by which our management servers sign."""
    found = dict(signer_files(loaded.topology, only))
    return {name: _read(loaded.folder / file, file) for name, file in found.items() if (loaded.folder / file).exists()}


def _read(path: Path, file: str) -> Chain:
    try:
        return Chain(file, tuple(map(DatedItem.of_certificate, read_certificates(path))))
    except UnusableFileError as wrong:
        return Chain(file, fault=str(wrong))


def anchors_of(loaded: Loaded) -> list[DatedItem]:
    """Return every anchor in force, ours and the partners'."""
    authorities = loaded.authorities
    return [DatedItem.of_certificate(certificate) for authority in authorities for certificate in authority.anchors]


def lists_of(loaded: Loaded) -> list[DatedItem]:
    """Return every CRL in force, ours and the partners'."""
    authorities = loaded.authorities
    return [DatedItem.of_list(crl) for authority in authorities for crl in authority.lists]
