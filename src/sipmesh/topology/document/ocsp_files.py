"""The files of OCSP answers that were fetched: whoever loads a topology has them, as it has lists."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from sipmesh.topology.document.crl_files import FETCHED
from sipmesh.topology.document.files import UnusableFileError, read_file
from sipmesh.trust.revocation.ocsp import LARGEST, OcspAnswer, UnusableAnswerError

if TYPE_CHECKING:
    from pathlib import Path

MOST_ANSWERS = 256
"""Certificates of one authority that answers are kept about; a partner's edges have a few."""


def answers_on_disk(folder: Path, authority: str) -> dict[str, OcspAnswer]:
    """Give the answers of one authority below the organisation's *folder*, each by the mark of its certificate.

    One that cannot be used is left out: it is fetched again. The judge looks at the others as at any answer.
    """
    found: dict[str, OcspAnswer] = {}
    for file in sorted((folder / FETCHED).glob(f"{_of(authority)}-*.ocsp"))[:MOST_ANSWERS]:
        with suppress(UnusableFileError, UnusableAnswerError):
            found[file.stem.partition("-")[2]] = OcspAnswer.load(read_file(file, LARGEST))
    return found


def answer_file(folder: Path, authority: str, mark: str) -> Path:
    """Where an answer is kept; by the authority too, since one certificate may stand below two."""
    return folder / FETCHED / f"{_of(authority)}-{mark}.ocsp"


def _of(authority: str) -> str:
    return hashlib.sha256(authority.encode()).hexdigest()[:16]
