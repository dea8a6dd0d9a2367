"""The files of fetched OCSP responses. They are loaded with the topology, like CRLs."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from sipmesh.topology.document.named_files.crl_files import FETCHED
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.trust.revocation.ocsp import LARGEST, OcspAnswer, UnusableAnswerError

if TYPE_CHECKING:
    from pathlib import Path

MOST_ANSWERS = 256
"""Certificates of one authority whose responses are kept. The edges of a partner have a few."""


def answers_on_disk(folder: Path, authority: str) -> dict[str, OcspAnswer]:
    """Give the OCSP responses of one authority in the organisation's *folder*, by the mark of the certificate.

    An unusable response is left out, and is fetched again. The judge verifies the others at each use.
    """
    found: dict[str, OcspAnswer] = {}
    for file in sorted((folder / FETCHED).glob(f"{_of(authority)}-*.ocsp"))[:MOST_ANSWERS]:
        with suppress(UnusableFileError, UnusableAnswerError):
            found[file.stem.partition("-")[2]] = OcspAnswer.load(read_file(file, LARGEST))
    return found


def answer_file(folder: Path, authority: str, mark: str) -> Path:
    """Give the file of a response. Its name contains the authority, because two may have the same certificate."""
    return folder / FETCHED / f"{_of(authority)}-{mark}.ocsp"


def _of(authority: str) -> str:
    return hashlib.sha256(authority.encode()).hexdigest()[:16]
