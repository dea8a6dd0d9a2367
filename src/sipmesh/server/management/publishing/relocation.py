"""A management host that has another address than the one it was restored from: a version that says so, before any server runs.

A server listens where the published topology says, and publishing is asked of a running server; so the first version on the new
host is made by whoever restores it, as the very first one of a network is made by whoever has the CA.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import LocalError, OperatorError
from sipmesh.server.management.publishing.offline_publish import opened
from sipmesh.server.management.publishing.publish import PublishRequest, publish
from sipmesh.server.replication.document_store import signers_of
from sipmesh.server.replication.topology_source import version_of
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.changes import edit, move_management
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from sipmesh.storage.history import Version


@dataclass(frozen=True, slots=True)
class Relocation:
    """The *version* that says it; *draft* is why the draft does not, "" where it does."""

    version: Version
    draft: str


def publish_moved(folder: Path, address: str, who: str, at: datetime) -> Relocation:
    """Let the management servers of the organisation in *folder* have *address* from now on, in a new version and in the draft.

    Of the version before nothing else is changed, whatever stands in the draft; one that is not in order stays as it is.

    Raises `OperatorError` where nothing was ever published, and where the new version cannot be made.
    """
    if not ManagementDb.is_in(folder):
        raise OperatorError(
            "there is no published version here; change the address in topology.yaml, and start the servers"
        )
    with opened(folder) as management_db:
        version = _publish(management_db, folder, address, who, at)
    file = folder / "topology.yaml"
    try:
        edit(file, lambda text: move_management(text, address, file))
    except OperatorError as wrong:
        return Relocation(version, str(wrong))
    return Relocation(version, "")


def _publish(management_db: ManagementDb, folder: Path, address: str, who: str, at: datetime) -> Version:
    head = management_db.history.head()
    if head is None:
        raise OperatorError("there is no published version here; change the address in topology.yaml, then publish")
    old = version_of(management_db, head.number)
    try:
        text = move_management(old.topology, address, folder / f"topology version {old.number}")
    except LocalError as wrong:
        raise OperatorError(f"version {old.number} has a YAML form that sipmesh cannot edit: {wrong}") from None
    loaded = load_published(replace(old, topology=text), folder)
    managers = sorted(signers_of(loaded))
    if not managers:
        raise OperatorError(f"version {old.number} names no management server")
    draft, why = Draft(loaded, text, old.files), f"management is at {address} now"
    request = PublishRequest(draft, who, why, at, base=head.number)
    return publish(management_db, request, view(loaded, managers[0]), load_published(old, folder)).version
