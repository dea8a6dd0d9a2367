"""Load a published version of the topology, with its embedded anchors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sipmesh.topology.document.load import load_text
from sipmesh.topology.document.named_files.trust_anchors import embedded_anchors

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.report import ProblemReport
    from sipmesh.topology.versions.publication import Publication


def load_published(publication: Publication, folder: Path, digest: str = "") -> Loaded:
    """Load the topology of a publication.

    Its anchors are the embedded certificates, never files on this disk. CRLs and the certificates of this machine's
    servers are below
    *folder*. *digest* is the SHA-256 of the signed document in hex, if it is known.

    Raises:
        OperatorError: The document has problems. The error has all of them.
    """
    content, file = publication.topology.encode(), folder / f"topology version {publication.number}"
    loaded = load_text(
        content, file, embedded_anchors(publication.files), partial(_compare, publication), published=True
    )
    number, digest = publication.number, digest or loaded.digest
    return replace(loaded, number=number, digest=digest, embedded=publication.files)


def _compare(publication: Publication, topology: Topology, report: ProblemReport) -> None:
    """Report values in which the publication and its document differ."""
    remedy = "publish it again: sipmesh topology publish -m WHY; a signed version is never edited"
    if publication.organisation != topology.organisation:
        reason = f"is {topology.organisation!r}, and the publication is of {publication.organisation!r}"
        report.add(("organisation",), reason, remedy)
    entries = topology.authorities
    unnamed = set(publication.files).difference(topology.authority.devices, *(entry.anchors for entry in entries))
    for name in sorted(unnamed):
        report.add((), f"the publication contains the file {name!r}, which the document does not name", remedy)
