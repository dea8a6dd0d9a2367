"""Where a server gets its topology from: a signed version, or in a network without management the file itself.

A server that has ever stored a publication loads only signed versions. So does every server in a folder whose topology names
management.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.accepted_signer import why_not_trusted
from sipmesh.server.replication.document_store import DocumentStore, signers_of
from sipmesh.storage.management_db import DATABASE, ManagementDb
from sipmesh.topology.document.load import load
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.approval import NotApprovedError, must_be_approved
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Publication

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.topology.document.load import Loaded


class TopologySource(Protocol):
    """The topology that a server reads at its start and at every reload."""

    def load(self) -> Loaded:
        """Read the topology with all files that it names; raises `OperatorError`."""


class DraftFile:
    """The document in its *file*, for networks without management."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __repr__(self) -> str:
        return f"<DraftFile {self._file}>"

    def load(self) -> Loaded:
        """Read the file; raises `OperatorError`."""
        return load(self._file)


class PublishedVersion:
    """The newest version in the history of a management server."""

    def __init__(self, management_db: ManagementDb, folder: Path) -> None:
        self.management_db, self._folder = management_db, folder

    def __repr__(self) -> str:
        return f"<PublishedVersion {self.management_db!r}>"

    def load(self) -> Loaded:
        """Read the newest version; raises `OperatorError`."""
        head = self.management_db.history.head()
        if head is None:
            raise OperatorError("there is no published version here; to publish: sipmesh topology publish -m WHY")
        return load_published(version_of(self.management_db, head.number), self._folder, head.digest)


def source_of(file: Path, name: str) -> TopologySource:
    """Return the source of the topology for the server *name*; *file* is the document, or its usual place.

    Raises `OperatorError` if there is no topology that the server may load.
    """
    folder, name = file.parent, name.lower()
    documents = DocumentStore(folder, name)
    if ManagementDb.is_in(folder) and not _starts_without_database(folder, documents):
        management_db = ManagementDb(folder)
        head = management_db.history.head()
        if head is not None:
            _must_be_followed(documents, management_db)
            archive = PublishedVersion(management_db, folder)
            if name in signers_of(archive.load()):
                documents.follow(head.number, management_db.history.get(head.number).jws)
                return archive
            _hold(documents, management_db, folder)
        management_db.close()
    if documents.is_there:
        documents.adopt()
        return documents
    draft = DraftFile(file)
    if signers_of(draft.load()):
        remedy = "publish it on the management server, or join this server to the network: sipmesh join"
        raise OperatorError(f"{file} is an unsigned draft; {remedy}")
    return draft


def _starts_without_database(folder: Path, documents: DocumentStore) -> bool:
    """Return whether a server beside management starts with its documents: its start must not need a shared database."""
    shared = SharedDatabase.find(folder)
    return shared is not None and shared.server != documents.name and documents.is_there


def _must_be_followed(documents: DocumentStore, management_db: ManagementDb) -> None:
    """Raise `OperatorError` if the history beside a server lacks the version that the server accepted last."""
    record = documents.record
    if record is None or not record.topology:
        return
    with suppress(OperatorError):
        if record.has_topology(management_db.history.get(record.number).jws):
            return
    reason = f"does not contain version {record.number}, which {documents.name} has loaded last"
    remedy = "restore the newest backup to an empty folder (sipmesh restore), or join this server again: sipmesh join"
    raise OperatorError(
        "this is another history of versions", (Problem(documents.folder / DATABASE, 0, "", reason, remedy),)
    )


def _hold(documents: DocumentStore, management_db: ManagementDb, folder: Path) -> None:
    """Let a server beside management store the newest version; if it would refuse that version, the agent reports it later."""
    head, record = management_db.history.head(), documents.record
    if head is None:
        return
    if not documents.is_there:
        _begin(documents, management_db.history.get(head.number).jws, folder)
        return
    if record is not None and not documents.is_whole:  # its state was lost, but the history still has its version
        _begin(documents, management_db.history.get(record.number).jws, folder)
    if documents.highest < head.number:
        with suppress(RemoteError, OperatorError):
            jws = management_db.history.get(head.number).jws
            documents.keep(jws, documents.newer(jws, documents.load(), now_utc()))


def version_of(management_db: ManagementDb, number: int) -> Publication:
    """Return one version of the history; raises `OperatorError` if it does not exist, or was changed.

    In a shared database its signer must be one under our roots: the files of this host say which these are.
    """
    try:
        signed = open_signed(management_db.history.get(number).jws, KIND)
        publication = Publication.decode(signed.payload)
    except MalformedDocumentError as wrong:
        raise OperatorError(f"version {number} in the history was changed: {wrong}") from None
    if management_db.shared is not None:
        why = why_not_trusted(signed, _roots(management_db.folder), publication.at)
        if why:
            raise OperatorError(f"version {number} in the management database was not signed by management: {why}")
    return publication


def newest_approved(management_db: ManagementDb, held: Loaded) -> tuple[int, str]:
    """Return the newest version of the history that may follow *held*, and why a newer one may not, empty if there is none.

    Each version needs the approvals that the one before it requires. One that has too few is left out: another management server
    has signed it, or somebody who has taken the host of one.
    """
    if held.topology.approvals is None:
        head = management_db.history.head()
        return (head.number if head is not None else held.number), ""
    before, topology, why = version_of(management_db, held.number), held.topology, ""
    if (before.topology.encode(), before.files) != (held.content, held.embedded):
        return held.number, f"version {held.number} in the history differs from that version in force here"
    for number in (version.number for version in management_db.history.list() if version.number > held.number):
        new = version_of(management_db, number)
        loaded = load_published(new, held.folder).topology
        try:
            must_be_approved(before, topology, new, loaded)
        except NotApprovedError as wrong:
            why = f"version {number} is not approved: {wrong}"
            continue
        before, topology, why = new, loaded, ""
    return before.number, why


def _roots(folder: Path) -> list[x509.Certificate]:
    """Return the roots of all generations of our CA, retired ones included: they have signed the older versions."""
    files = sorted((folder / "ca").rglob("root.pem"))
    try:
        return [certificate for file in files for certificate in read_certificates(file)]
    except UnusableFileError as wrong:
        raise OperatorError(f"a root {wrong}; it is needed to check the published version") from None


def published_in(folder: Path) -> Loaded | None:
    """Return the newest version of the history in *folder*; None if there is no version."""
    if not ManagementDb.is_in(folder):
        return None
    management_db = ManagementDb(folder)
    try:
        return PublishedVersion(management_db, folder).load() if management_db.history.head() is not None else None
    finally:
        management_db.close()


def _begin(documents: DocumentStore, jws: bytes, folder: Path) -> None:
    """Store the first version of a server beside management; its anchors are the CA's roots that are not retired."""
    root = folder / "ca" / "root.pem"
    if CaGenerations.are_in(root.parent):
        documents.begin(jws, [ca.root for ca in CaGenerations(root.parent).alive])
        return
    try:
        anchors = read_certificates(root)
    except UnusableFileError as wrong:
        raise OperatorError(f"{root} {wrong}; it is needed to check the published version") from None
    documents.begin(jws, anchors)
