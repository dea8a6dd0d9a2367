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
from sipmesh.pki.file_error import make_folder
from sipmesh.strict_json import read_object
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUFFIX = ".held"

_CHECK = "check"
_OF_EARLIER_RELEASE = frozenset({"number", "topology", "anchors", "before", "users"})


def digest(content: bytes) -> str:
    """Return the SHA-256 of a document in hex."""
    return sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class PublicationRecord:
    """*number* is the highest version ever accepted; *topology* and *anchors* are the digests of its two files.

    *before* has the digests of the files that are being replaced; it is empty afterwards, so a crash in between leaves a
    state that is accepted.

    *users* is the highest number of users ever accepted. It is written before the users themselves. *users_before* is the
    number that it followed, and *users_changed* are the addresses that differ between the two; None if they are too many.
    """

    number: int = 0
    topology: str = ""
    anchors: str = ""
    before: tuple[str, ...] = ()
    users: int = 0
    users_before: int = 0
    users_changed: tuple[str, ...] | None = None

    def has_topology(self, content: bytes) -> bool:
        """Return whether *content* is the accepted publication, or the publication that was being replaced."""
        return digest(content) in {self.topology, *self.before}

    def has_anchors(self, content: bytes) -> bool:
        """Return whether *content* are the anchors of the accepted publication, or of the publication that was being replaced."""
        return digest(content) in {self.anchors, *self.before}

    def replacing(self, *files_before: bytes) -> Self:
        """Return the record to use while files with the content *files_before* are being replaced."""
        return replace(self, before=tuple(map(digest, files_before)))

    def announcing(self, users: int, before: int, changed: Iterable[str] | None) -> Self:
        """Return the record to write before the users of number *users*, which follow those of number *before*, are stored."""
        found = tuple(sorted(changed)) if changed is not None else None
        return replace(self, users=max(users, self.users), users_before=before, users_changed=found)

    def possibly_changed(self, stored: int) -> frozenset[str] | None:
        """Return the users who may have changed after the *stored* number, which a server has found; None if not known.

        Empty if the server has everything that it has ever accepted.
        """
        if stored >= self.users:
            return frozenset()
        if stored == self.users_before and self.users_changed is not None:
            return frozenset(self.users_changed)
        return None


class PublicationRecordFile:
    """The record of the server *name*, in the folder of the servers' keys below *folder*."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / "servers" / f"{name}{SUFFIX}"
        self._kept: PublicationRecord | None = None

    def read(self) -> PublicationRecord | None:
        """Read the record once; None if there is none. Raises `OperatorError` for an unreadable record.

        A running server uses what it has read or written itself, even if the file changes.
        """
        if self._kept is None:
            self._kept = self._read()
        return self._kept

    def _read(self) -> PublicationRecord | None:
        try:
            return _decode(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, UnreadableJsonError) as wrong:
            remedy = "join this server again: sipmesh join"
            problem = Problem(self.file, 0, "", f"cannot be read ({wrong})", remedy)
            raise OperatorError("it is not known which version this server had in force", (problem,)) from None

    def write(self, record: PublicationRecord) -> None:
        """Write the record, completely or not at all; raises `FileError`."""
        make_folder(self.file.parent)
        files.write(self.file, _encode(record), files.SECRET)
        self._kept = record

    def forget(self) -> None:
        """Remove the record: an operator has confirmed a publication, which replaces the earlier publications."""
        self.file.unlink(missing_ok=True)
        self._kept = None


def _encode(record: PublicationRecord) -> bytes:
    """Return the record as JSON, with a digest over all other values: a disk that changes a bit must not change a number."""
    values = read_object(json.dumps(asdict(record)))
    return json.dumps({**values, _CHECK: _check(values)}).encode()


def _decode(content: bytes) -> PublicationRecord:
    """Read a record, also one of an earlier release, which has no digest.

    Raises ValueError, KeyError or `UnreadableJsonError`.
    """
    values = read_object(content)
    if set(values) != _OF_EARLIER_RELEASE and values.pop(_CHECK) != _check(values):
        raise ValueError("its digest does not match")
    return read(PublicationRecord, values)


def _check(values: object) -> str:
    return digest(json.dumps(values, sort_keys=True).encode())
