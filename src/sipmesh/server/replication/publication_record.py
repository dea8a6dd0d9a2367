"""The record that a server keeps beside its key: which publication it has taken last, and that it has ever taken one.

The documents themselves lie in ``state``. Whoever can write there alone can neither put an older version in the place of the
one that was taken, nor other anchors, nor users of before, nor make the server forget that it runs by publications.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Self

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".held"


def digest(content: bytes) -> str:
    """The SHA-256 of a document, in hex."""
    return sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class PublicationRecord:
    """*number* is the highest version ever taken, *topology* and *anchors* the digests of its two files.

    *before* has the digests of the files that are being replaced, and is empty once that is done: a crash in between leaves
    either. *users* is the highest number of users ever taken.
    """

    number: int = 0
    topology: str = ""
    anchors: str = ""
    before: tuple[str, ...] = ()
    users: int = 0

    def has_topology(self, content: bytes) -> bool:
        """Whether this is the publication that was taken, or the one that was being replaced."""
        return digest(content) in {self.topology, *self.before}

    def has_anchors(self, content: bytes) -> bool:
        """Whether these are the anchors that the publication had when it was taken."""
        return digest(content) in {self.anchors, *self.before}

    def replacing(self, *files_before: bytes) -> Self:
        """The same, while files with that content are being replaced."""
        return replace(self, before=tuple(map(digest, files_before)))


class PublicationRecordFile:
    """The record of the server *name*, in the folder of the servers' keys below *folder*."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / "servers" / f"{name}{SUFFIX}"
        self._kept: PublicationRecord | None = None

    def __repr__(self) -> str:
        return f"<PublicationRecordFile {self.file}>"

    def read(self) -> PublicationRecord | None:
        """Read it once; None where there is none. Raises `OperatorError` for one that cannot be read: nothing is guessed.

        A server that runs goes by what it has read or written itself, whatever becomes of the file.
        """
        if self._kept is None:
            self._kept = self._read()
        return self._kept

    def _read(self) -> PublicationRecord | None:
        try:
            document = json.loads(self.file.read_bytes())
            before = tuple(map(str, document["before"]))
            return PublicationRecord(
                int(document["number"]),
                str(document["topology"]),
                str(document["anchors"]),
                before,
                int(document["users"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            remedy = "join this server again: sipmesh join"
            problem = Problem(self.file, 0, "", f"cannot be read ({wrong})", remedy)
            raise OperatorError("it is not known which version this server had in force", (problem,)) from None

    def write(self, record: PublicationRecord) -> None:
        """Write it, whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        files.write(self.file, json.dumps(asdict(record)).encode(), files.SECRET)
        self._kept = record

    def forget(self) -> None:
        """Remove it: what an operator vouches for takes the place of all that was taken."""
        self.file.unlink(missing_ok=True)
        self._kept = None
