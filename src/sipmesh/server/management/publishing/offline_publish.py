"""Publishing while no management server runs, by whoever has its folder: the first version, and one that lets it start again.

A management server whose port or address is not to be had any more cannot start, and so cannot be asked to publish another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.decommission import Tell, follow_up
from sipmesh.server.management.publishing.emergency_block import blocking
from sipmesh.server.management.publishing.publish import (
    InUse,
    NewVersion,
    PublishRequest,
    fingerprints_of,
    publish,
    read_draft,
)
from sipmesh.server.replication.document_store import signers_of
from sipmesh.server.replication.topology_source import version_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.history import Version
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users import Users
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


@contextmanager
def opened(folder: Path) -> Iterator[ManagementDb]:
    """The history in *folder*, for as long as it is needed."""
    management_db = ManagementDb(folder)
    try:
        yield management_db
    finally:
        management_db.close()


def publish_first(file: Path, who: str, why: str, at: datetime) -> Version:
    """Sign the draft in *file* as version 1, and begin the history beside it.

    Raises `OperatorError` for a draft with problems or without management, and where something was published before.
    """
    draft = read_draft(file)
    managers = sorted(signers_of(draft.loaded))
    if not managers:
        remedy = "add a pool of role management with one server, and issue its certificates: sipmesh ca issue NAME"
        raise OperatorError(f"{file} names no management server; {remedy}")
    with opened(file.parent) as management_db:
        return publish(management_db, PublishRequest(draft, who, why, at), view(draft.loaded, managers[0])).version


@dataclass(frozen=True, slots=True)
class Rested:
    """A version that was published at rest: *changes* in words, *forced* what it was said to break."""

    version: Version
    changes: Sequence[str]
    forced: Sequence[str]


def publish_at_rest(file: Path, who: str, why: str, at: datetime, tell: Tell, *, force: bool) -> Rested:
    """Sign the draft in *file* as the next version, which is in force when the management server starts.

    Nobody can say which anchors are in use meanwhile: all of them count as if they were. Raises `OperatorError` for a draft
    that would break something without *force*, and where what is in force was touched, or cannot be followed by this folder.
    """
    with opened(file.parent) as management_db, _audited(management_db, who, at, {"act": "publish", "why": why}):
        request = PublishRequest(read_draft(file), who, why, at, force=force)
        return _publish_next(management_db, request, file.parent, tell)


def block_at_rest(folder: Path, name: str, who: str, at: datetime, tell: Tell) -> Rested:
    """Sign the newest version with one change as the next one: *name* is blocked. What stands in the draft stays there.

    Where it is blocked already, the newest version is given. Raises `OperatorError` where it cannot be blocked.
    """
    with opened(folder) as management_db, _audited(management_db, who, at, {"act": "block", "name": name}):
        head = _head(management_db)
        draft = blocking(version_of(management_db, head.number), name, folder)
        if draft is None:
            return Rested(head, (), ())
        return _publish_next(management_db, PublishRequest(draft, who, f"{name} is blocked", at), folder, tell)


@contextmanager
def _audited(management_db: ManagementDb, who: str, at: datetime, about: Mapping[str, object]) -> Iterator[None]:
    """A refused attempt is a line in the audit log as well."""
    try:
        yield
    except OperatorError as wrong:
        management_db.audit.append(who, AuditAct.REFUSED, {**about, "refused": wrong.message}, at=at)
        raise


def _head(management_db: ManagementDb) -> Version:
    head = management_db.history.head()
    if head is None:
        raise OperatorError("there is no published version yet")
    return head


def _publish_next(management_db: ManagementDb, request: PublishRequest, folder: Path, tell: Tell) -> Rested:
    head = _head(management_db)
    before = load_published(version_of(management_db, head.number), folder)
    in_use, unasked = _in_use(before)
    server = view(before, min(signers_of(before)))
    new: NewVersion = publish(management_db, replace(request, base=head.number), server, before, in_use)
    follow_up(folder, management_db.audit, before, request.draft.loaded, request.who, request.at, tell)
    return Rested(new.version, [*new.changes, *unasked], new.forced)


def _in_use(before: Loaded) -> tuple[InUse, Sequence[str]]:
    """All anchors, where users are at home, the domains of their addresses, and why they could not be asked.

    A version is published without them where their database cannot be opened: it may be the one that names another.
    """
    anchors = frozenset(fingerprints_of(before))
    try:
        users = Users(before.users_url)
    except OperatorError as wrong:
        return InUse(anchors), (f"the user database could not be read for home pools and domains: {wrong.message}",)
    try:
        return InUse(anchors, *users.places()), ()
    except OperatorError as wrong:
        return InUse(anchors), (f"the user database could not be read for home pools and domains: {wrong.message}",)
    finally:
        users.close()
