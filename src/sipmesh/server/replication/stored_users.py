"""The users' documents that a managed server has stored: read at the start, and added to while it runs.

A password that was replaced must never count again. So the record beside the server's key names the new number, and the users
that change, before the documents are written. At the start, a file that ends before that number is behind: the users that may
have changed since cannot log in until management has sent them again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.pki.file_error import FileError, file_errors
from sipmesh.pki.files import sync_folder
from sipmesh.server.replication.accepted_signer import why_not_trusted
from sipmesh.storage.framed_log import FramedLog, Frames
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.replication.publication_record import PublicationRecordFile
    from sipmesh.topology.versions.jose import Signed

USERS: Final = "sipmesh-users"
"""The typ of a signed document of users."""

MOST_NAMED: Final = 1_000
"""How many changed users the record names; with more changes, all users wait after a crash."""

LARGEST_NAMED: Final = 256 << 10
"""Octets: the users of a larger document are not counted, they are more than ``MOST_NAMED``."""


@dataclass(frozen=True, slots=True)
class HeldUsers:
    """What a server finds at its start: *documents* in their order, and the *number* of the users that they lead to.

    *possibly_changed*: the users who may have changed since; None stands for all users. *wanted* is the number that ends this.
    *fault* says what is wrong with the file; empty if nothing is.
    """

    documents: Sequence[UserDocument] = ()
    number: int = 0
    possibly_changed: frozenset[str] | None = frozenset()
    wanted: int = 0
    fault: str = ""


class StoredUsers:
    """The documents in *file*. *record* is the record beside the key, *anchors* returns what signers have to lead to."""

    def __init__(
        self, file: Path, record: PublicationRecordFile, anchors: Callable[[], list[x509.Certificate]]
    ) -> None:
        self.file, self._record, self._anchors = file, record, anchors
        self._log = FramedLog(file)
        self._behind = file.with_name(f"{file.name}-behind")
        self.number = 0

    def read(self) -> HeldUsers:
        """Read the documents with a valid signature, up to the first fault; nothing on the disk changes."""
        return self._read()[0]

    def open(self) -> HeldUsers:
        """Read the documents, cut a damaged end off the file, and rewrite a file of an earlier release."""
        held, found = self._read()
        self.number = held.number
        with suppress(FileError):  # the next start reads the same again
            self._mend(held, found)
        return held

    def _mend(self, held: HeldUsers, found: _Found) -> None:
        if found.is_damaged and held.possibly_changed is None and found.number >= held.wanted:
            self._mark_behind()  # the record does not know of the damaged change, so that the next start would not either
        elif found.records != list(found.frames.records):
            self._log.replace(found.records)
        elif found.frames.spoiled:
            self._log.cut(found.frames)

    def _read(self) -> tuple[HeldUsers, _Found]:
        found = _Found()
        try:
            found.frames = self._log.read()
            offered = found.frames.records if found.frames.is_framed else _lines(self.file)
            trusted = _Trusted(self._anchors() if offered else [])
            for record in offered:
                found.add(record, trusted.document(record))
            found.fault = _damage(found.frames)
        except (OperatorError, MalformedDocumentError) as wrong:
            found.fault = str(wrong)
        found.end()
        return self._judged(found), found

    def _judged(self, found: _Found) -> HeldUsers:
        """Compare what was found with the highest number that was ever accepted."""
        record = self._record.read()
        wanted = record.users if record is not None else 0
        possibly_changed = record.possibly_changed(found.number) if record is not None else frozenset()
        fault = found.fault or ("its end is missing" if possibly_changed != frozenset() else "")
        if self._behind.exists():
            possibly_changed, fault = None, "the last change of users could not be stored"
        elif found.is_damaged and found.number >= wanted:
            possibly_changed = None  # the damaged octets may be a change that was in force
        if possibly_changed is None:  # management sends all users again
            return HeldUsers((), 0, None, wanted, fault)
        return HeldUsers(tuple(found.documents), found.number, possibly_changed, wanted, fault)

    def keep(self, parts: Sequence[bytes], *, whole: bool) -> None:
        """Store a users' document in its *parts*; *whole* replaces the earlier documents, otherwise it is appended.

        Raises `FileError`. Then the next start does not use earlier documents for the users that change.
        """
        documents = [UserDocument.decode(open_signed(part, USERS).payload) for part in parts[-1:]]
        number = documents[-1].number if documents else self.number
        try:
            self._put_back()
            self._announce(number, None if whole else _changed_in(parts))
        except FileError:
            self._mark_behind()
            raise
        if whole:
            self._log.replace(parts)
        else:
            self._log.append(parts)
        self.number = number

    def forget(self) -> None:
        """Remove all documents: management sends all users again."""
        for file in (self.file, self._behind):
            file.unlink(missing_ok=True)
        self.number = 0

    def _announce(self, number: int, changed: frozenset[str] | None) -> None:
        record = self._record.read()
        if record is None:
            return
        if record.users > self.number and changed is not None:  # an earlier change is announced, and was not stored
            earlier = record.possibly_changed(self.number)
            changed = changed | earlier if earlier is not None else None
        self._record.write(record.announcing(number, self.number, changed))

    def _mark_behind(self) -> None:
        """Take the documents out of use for the next start; a disk without room still renames a file."""
        with suppress(OSError):
            self.file.rename(self._behind)
            sync_folder(self.file.parent)

    def _put_back(self) -> None:
        if self._behind.exists():
            with file_errors(self.file):
                self._behind.rename(self.file)


class _Found:
    """What a file contains: documents in their order, each of which starts from the number that the document before leads to."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.fault = ""
        self.records: list[bytes] = []
        self.documents: list[UserDocument] = []
        self.number = 0
        self._whole = 0  # how many documents lead to `number`
        self._part = 0  # of a document in several parts: the last part

    @property
    def is_damaged(self) -> bool:
        """Whether the file has octets that do not count."""
        return bool(self.fault)

    def add(self, record: bytes, document: UserDocument) -> None:
        """Add the next document; raises `OperatorError` if it does not follow."""
        if document.part != self._part + 1 or document.since > self.number or document.number <= self.number:
            raise OperatorError(f"the document after number {self.number} is missing")
        self.records.append(record)
        self.documents.append(document)
        self._part = document.part
        if document.part == document.parts:
            self.number, self._whole, self._part = document.number, len(self.documents), 0

    def end(self) -> None:
        """Drop the parts of a last document that is not complete."""
        if self._whole < len(self.records):
            self.fault = self.fault or "the last document is not complete"
            del self.records[self._whole :], self.documents[self._whole :]


class _Trusted:
    """Opens signed documents; a chain of a signer is checked once."""

    def __init__(self, anchors: list[x509.Certificate]) -> None:
        self._anchors = anchors
        self._known: dict[tuple[bytes, ...], str] = {}

    def document(self, record: bytes) -> UserDocument:
        """Return the document in *record*; raises `MalformedDocumentError` or `OperatorError` if it does not count."""
        signed = open_signed(record, USERS)
        if signed.presented not in self._known:
            self._known[signed.presented] = self._why_not(signed)
        if why := self._known[signed.presented]:
            raise OperatorError(f"a document has no signer that this server has trusted: {why}")
        return UserDocument.decode(signed.payload)

    def _why_not(self, signed: Signed) -> str:
        begun = max(certificate.not_valid_before_utc for certificate in signed.chain)
        return why_not_trusted(signed, self._anchors, begun)


def _damage(frames: Frames) -> str:
    if frames.is_framed and frames.spoiled:
        return f"{frames.spoiled} octets after the first {frames.octets} octets are damaged"
    return ""


def _lines(file: Path) -> list[bytes]:
    """Return the documents in a file of an earlier release: one in each line."""
    with file_errors(file, doing="read"):
        return [line for line in file.read_bytes().split(b"\n") if line]


def _changed_in(parts: Sequence[bytes]) -> frozenset[str] | None:
    """Return the users that a document changes; None if they are more than ``MOST_NAMED``."""
    if sum(map(len, parts)) > LARGEST_NAMED:
        return None
    documents = [UserDocument.decode(open_signed(part, USERS).payload) for part in parts]
    changed = frozenset(aor for document in documents for aor in document.changed)
    return changed if len(changed) <= MOST_NAMED else None
