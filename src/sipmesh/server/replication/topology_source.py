"""Where a server gets its topology from: a signed version, or in a network without management the file itself.

A server that has ever stored a publication loads only signed versions. So does every server in a folder whose topology names
management.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.database.shared import DATABASE, SharedDatabase, has_management_db
from sipmesh.errors import OperatorError, Problem
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.document_store import DocumentStore, signers_of
from sipmesh.topology.document.load import load
from sipmesh.topology.versions.load_published import load_published

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


class TopologySource(Protocol):
    """The topology that a server reads at its start and at every reload."""

    def load(self) -> Loaded:
        """Read the topology with all files that it names; raises `OperatorError`."""


class DraftFile:
    """The document in its *file*, for networks without management."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> Loaded:
        """Read the file; raises `OperatorError`."""
        return load(self._file)


def source_of(file: Path, name: str) -> TopologySource:
    """Return the source of the topology for the server *name*; *file* is the document, or its usual place.

    Raises `OperatorError` if there is no topology that the server may load.
    """
    folder, name = file.parent, name.lower()
    documents = DocumentStore(folder, name)
    if has_management_db(folder) and not _starts_without_database(folder, documents):
        from sipmesh.server.replication.published_version import PublishedVersion
        from sipmesh.storage.management_db import ManagementDb

        versions = PublishedVersion(ManagementDb(folder), documents)
        if versions.management_db.history.head() is not None or documents.is_there:
            versions.begin()
            if name in signers_of(versions.catch_up(versions.load(), now_utc())):
                return versions
        versions.management_db.close()
    if documents.is_there:
        documents.adopt()
        if documents.has_signed:
            remedy = "restore the newest backup to an empty folder: sipmesh restore"
            problem = Problem(folder / DATABASE, 0, "", "is missing", remedy)
            raise OperatorError(f"{name} is a management server without its database", (problem,))
        if name in signers_of(documents.load()):
            remedy = f"first: sipmesh management join {name} URL, with the URL of the database of the pool"
            raise OperatorError(f"{name} is a management server, and has not joined the management pool; {remedy}")
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


def published_in(folder: Path) -> Loaded | None:
    """Return the newest version of the history in *folder* that counts on this host; None if there is no version.

    Before its management server has stored a version, each version counts that management has signed. An earlier release
    stored none.
    """
    if not has_management_db(folder):
        return None
    from sipmesh.server.replication.published_version import PublishedVersion, version_of
    from sipmesh.storage.management_db import ManagementDb

    management_db = ManagementDb(folder)
    try:
        versions, head = PublishedVersion.of(management_db), management_db.history.head()
        if head is None:
            return None
        if versions is not None and versions.documents.is_whole:
            return versions.newest(now_utc())
        return load_published(version_of(management_db, head.number), folder, head.digest)
    finally:
        management_db.close()
