"""Reads the certificates of this machine for the inventory of expiry dates, and converts the answer of a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipmesh.topology.document.files import UnusableFileError
from sipmesh.topology.document.trust_anchors import read_certificates
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.inventory import Side, Use, sides, signer_files
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


def use_to_json(use: Use) -> dict[str, Any]:
    """Return what a server uses, for its status document."""
    return {
        "certificates": [{"outside": outside, **chain.to_json()} for outside, chain in use.shown.items()],
        "anchors": [item.to_json() for item in use.anchors],
        "lists": [item.to_json() for item in use.lists],
        "sources": [item.to_json() for item in use.supplies],
    }


def use_from_json(status: dict[str, Any]) -> Use:
    """Return what a server uses, from its status; raises KeyError, TypeError or ValueError for another version's answer."""
    return Use(
        server=str(status["server"]),
        pid=int(status["pid"]),
        shown={bool(certificate["outside"]): Chain.from_json(certificate) for certificate in status["certificates"]},
        anchors=tuple(map(DatedItem.from_json, status["anchors"])),
        lists=tuple(map(DatedItem.from_json, status["lists"])),
        supplies=tuple(map(FetchStatus.from_json, status["sources"])),
    )
