"""Where a server has its topology from: what management has signed or, in a network without management, the file itself.

Nothing unsigned is loaded by a server that has ever held a publication, nor in a folder whose topology names management.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki.ca_rotation import Generations
from sipmesh.server.management.server_reports import now_utc
from sipmesh.server.replication.document_store import Holding, signers_of
from sipmesh.storage.management_db import DATABASE, Chronicle
from sipmesh.topology.document.files import UnusableFileError
from sipmesh.topology.document.load import load, load_published
from sipmesh.topology.document.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.versions.publication import KIND, Publication

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


class Source(Protocol):
    """What a server reads at its start and at every reload."""

    def load(self) -> Loaded:
        """Read it with all files that it names; raises `OperatorError`."""


class Draft:
    """The document as it stands in its *file*: for networks without management."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __repr__(self) -> str:
        return f"<Draft {self._file}>"

    def load(self) -> Loaded:
        """Read the file."""
        return load(self._file)


class Archive:
    """The newest version in the history of a management server."""

    def __init__(self, chronicle: Chronicle, folder: Path) -> None:
        self.chronicle, self._folder = chronicle, folder

    def __repr__(self) -> str:
        return f"<Archive {self.chronicle!r}>"

    def load(self) -> Loaded:
        """Read the newest version."""
        head = self.chronicle.history.head()
        if head is None:
            raise OperatorError("nothing was ever published here; publish with: sipmesh topology publish -m WHY")
        return load_published(version_of(self.chronicle, head.number), self._folder, head.digest)


def source_of(file: Path, name: str) -> Source:
    """Find out where the server *name* has its topology from; *file* is the document, or where it would be.

    Raises `OperatorError` where there is nothing that may be loaded.
    """
    folder, name = file.parent, name.lower()
    holding = Holding(folder, name)
    if Chronicle.is_in(folder):
        chronicle = Chronicle(folder)
        head = chronicle.history.head()
        if head is not None:
            _must_be_followed(holding, chronicle)
            archive = Archive(chronicle, folder)
            if name in signers_of(archive.load()):
                holding.follow(head.number, chronicle.history.get(head.number).jws)
                return archive
            _hold(holding, chronicle, folder)
        chronicle.close()
    if holding.is_there:
        holding.adopt()
        return holding
    draft = Draft(file)
    if signers_of(draft.load()):
        remedy = "publish it where management is, or have this server join: sipmesh join"
        raise OperatorError(f"{file} is a draft that nobody has signed; {remedy}")
    return draft


def _must_be_followed(holding: Holding, chronicle: Chronicle) -> None:
    """Raise `OperatorError` for a history beside a server that lacks the very version which this server has taken last."""
    record = holding.record
    if record is None or not record.topology:
        return
    with suppress(OperatorError):
        if record.has_topology(chronicle.history.get(record.number).jws):
            return
    reason = f"is not the history of version {record.number}, which {holding.name} has taken last"
    remedy = "restore the newest backup to an empty folder (sipmesh restore), or have this server join: sipmesh join"
    raise OperatorError("no other history is followed", (Problem(holding.folder / DATABASE, 0, "", reason, remedy),))


def _hold(holding: Holding, chronicle: Chronicle, folder: Path) -> None:
    """Have a server beside management hold what lies there; what it would refuse, it is told later."""
    head, record = chronicle.history.head(), holding.record
    if head is None:
        return
    if not holding.is_there:
        _begin(holding, chronicle.history.get(head.number).jws, folder)
        return
    if record is not None and not holding.is_whole:  # its state was lost: the very version that it had is still here
        _begin(holding, chronicle.history.get(record.number).jws, folder)
    if holding.highest < head.number:
        with suppress(RemoteError, OperatorError):
            jws = chronicle.history.get(head.number).jws
            holding.keep(jws, holding.newer(jws, holding.load(), now_utc()))


def version_of(chronicle: Chronicle, number: int) -> Publication:
    """One version of the history; raises `OperatorError` where there is none, or it was touched."""
    try:
        return Publication.decode(open_signed(chronicle.history.get(number).jws, KIND).payload)
    except MalformedDocumentError as wrong:
        raise OperatorError(f"version {number} in the history was touched: {wrong}") from None


def published_in(folder: Path) -> Loaded | None:
    """The newest version of the history in *folder*; None where there is none."""
    if not Chronicle.is_in(folder):
        return None
    chronicle = Chronicle(folder)
    try:
        return Archive(chronicle, folder).load() if chronicle.history.head() is not None else None
    finally:
        chronicle.close()


def _begin(holding: Holding, jws: bytes, folder: Path) -> None:
    """A server beside management begins with what lies there, under every root of the CA there that is not retired."""
    root = folder / "ca" / "root.pem"
    if Generations.are_in(root.parent):
        holding.begin(jws, [ca.root for ca in Generations(root.parent).alive])
        return
    try:
        anchors = read_certificates(root)
    except UnusableFileError as wrong:
        raise OperatorError(f"{root} {wrong}; it is needed to check what was published") from None
    holding.begin(jws, anchors)
