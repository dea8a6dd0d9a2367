"""Let a server that has joined the network join its management pool: the database, and the CA that the leader seals for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import make_url

from sipmesh.database.shared import FILE, SharedDatabase
from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.pool.file_replication import FileReceiver
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.replication.document_store import DocumentStore, signers_of
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from pathlib import Path


def join_pool(folder: Path, shared: SharedDatabase) -> bool:
    """Store the database of the pool in *folder*, and the CA if the leader has sealed it; return whether it has.

    Repeat the call until it returns True. Raises `OperatorError` if the server has not joined the network as a management
    server, or if the database cannot be used, or has no version. Raises `RemoteError` for a file that does not come from the
    leader.
    """
    documents = DocumentStore(folder, shared.server)
    if not documents.is_there:
        raise OperatorError(f"{shared.server} has not joined the network on this machine; first: sipmesh join request")
    in_force = documents.load()
    if shared.server not in signers_of(in_force):
        raise OperatorError(f"{shared.server} is no management server in version {in_force.number}; publish that first")
    management_db = ManagementDb(folder, shared)
    try:
        if management_db.history.head() is None:
            raise OperatorError(
                f"{make_url(shared.url).render_as_string(hide_password=True)} has no version of the topology; name the database"
                f" of the host that leads: its {FILE} has the URL"
            )
        if SharedDatabase.find(folder) != shared:
            files.write(folder / FILE, shared.encode(), files.SECRET)
        ours = view(in_force, shared.server)
        receiver = FileReceiver(management_db, documents)
        receiver.forget_beyond()
        receiver.receive(in_force, ours.certificate, ours.key)
    finally:
        management_db.close()
    return CaGenerations.are_in(folder / CA)
