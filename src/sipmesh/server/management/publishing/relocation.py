"""A management host with another address than before its restore: a version with the new address, made before a server runs.

A server listens where the published topology says, and only a running server can publish. So the first version on the new
host is made without a server, like the first version of a network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.database.shared import has_management_db
from sipmesh.errors import LocalError, OperatorError
from sipmesh.server.management.publishing.offline_publish import accepted, opened
from sipmesh.server.management.publishing.publish import OF_HOST, PublishRequest, publish
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.changes import edit, move_management
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from sipmesh.storage.history import Version


@dataclass(frozen=True, slots=True)
class Relocation:
    """The *version* with the new address; *draft* is why the draft could not be changed, "" if it was changed."""

    version: Version
    draft: str


def publish_moved(folder: Path, address: str, who: str, at: datetime) -> Relocation:
    """Give the management servers of the organisation in *folder* the new *address*, in a new version and in the draft.

    The new version has no other change; the draft is not published. A draft with problems is not changed.

    Raises `OperatorError` if nothing was ever published, and if the new version cannot be made.
    """
    if not has_management_db(folder):
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
    if management_db.history.head() is None:
        raise OperatorError("there is no published version here; change the address in topology.yaml, then publish")
    versions, before = accepted(management_db, at=at)
    old = versions.publication()
    try:
        text = move_management(old.topology, address, folder / f"topology version {old.number}")
    except LocalError as wrong:
        raise OperatorError(f"version {old.number} has a YAML form that sipmesh cannot edit: {wrong}") from None
    loaded = load_published(replace(old, topology=text), folder)
    draft, why = Draft(loaded, text, old.files), f"management is at {address} now"
    request = PublishRequest(draft, who, why, at, base=old.number, role=OF_HOST)
    version = publish(versions, request, view(loaded, versions.documents.name), before).version
    versions.keep_own(version)
    return version
