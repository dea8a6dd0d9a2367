"""The record beside a server's key: which publication was accepted last, and that one was ever accepted.

The documents themselves are in ``state``. An attacker who can write only there cannot bring back an older version or earlier
users, and cannot replace the anchors. The attacker also cannot make the server load a topology without a signature.
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
    """Return the SHA-256 of a document in hex."""
    return sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class PublicationRecord:
    """*number* is the highest version ever accepted; *topology* and *anchors* are the digests of its two files.

    *before* has the digests of the files that are being replaced; it is empty afterwards, so a crash in between leaves a
    state that is accepted. *users* is the highest number of users ever accepted.
    """

    number: int = 0
    topology: str = ""
    anchors: str = ""
    before: tuple[str, ...] = ()
    users: int = 0

    def has_topology(self, content: bytes) -> bool:
        """Return whether *content* is the accepted publication, or the one that was being replaced."""
        return digest(content) in {self.topology, *self.before}

    def has_anchors(self, content: bytes) -> bool:
        """Return whether *content* are the anchors of the accepted publication, or of the one that was being replaced."""
        return digest(content) in {self.anchors, *self.before}

    def replacing(self, *files_before: bytes) -> Self:
        """Return the record to use while files with the content *files_before* are being replaced."""
        return replace(self, before=tuple(map(digest, files_before)))


class PublicationRecordFile:
    """The record of the server *name*, in the folder of the servers' keys below *folder*."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / "servers" / f"{name}{SUFFIX}"
        self._kept: PublicationRecord | None = None

    def __repr__(self) -> str:
        return f"<PublicationRecordFile {self.file}>"

    def read(self) -> PublicationRecord | None:
        """Read the record once; None if there is none. Raises `OperatorError` for an unreadable record.

        A running server uses what it has read or written itself, even if the file changes.
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
        """Write the record, completely or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        files.write(self.file, json.dumps(asdict(record)).encode(), files.SECRET)
        self._kept = record

    def forget(self) -> None:
        """Remove the record: an operator has confirmed a publication, which replaces the earlier ones."""
        self.file.unlink(missing_ok=True)
        self._kept = None
