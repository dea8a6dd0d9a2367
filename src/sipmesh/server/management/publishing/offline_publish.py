"""Publishing while no management server runs, by a command that can write to its folder.

This makes the first version. It also makes a version that lets a management server start again after its port or address has
become unusable: such a server cannot start, and so it cannot publish.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.database.shared import has_management_db
from sipmesh.errors import OperatorError
from sipmesh.server.control_socket import STATE
from sipmesh.server.management.publishing.approvals import approval_needs
from sipmesh.server.management.publishing.decommission import Tell, follow_up
from sipmesh.server.management.publishing.draft_grants import draft_grants
from sipmesh.server.management.publishing.emergency_block import blocking
from sipmesh.server.management.publishing.publish import (
    OF_HOST,
    InUse,
    NewVersion,
    PublishRequest,
    breaks,
    changed_by_operators,
    changes_between,
    fingerprints_of,
    publish,
    read_draft,
)
from sipmesh.server.management.replies import Plan
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.owned_state import owned_state
from sipmesh.server.replication.document_store import DocumentStore, signers_of
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.history import Version
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


@contextmanager
def opened(folder: Path) -> Iterator[ManagementDb]:
    """Open the history in *folder*, and close it at the end of the block."""
    management_db = ManagementDb(folder)
    try:
        yield management_db
    finally:
        management_db.close()


def publish_first(file: Path, who: str, why: str, at: datetime) -> Version:
    """Sign the draft in *file* as version 1, and start the history beside it.

    Raises `OperatorError` for a draft with problems or without management, and if a version was published before.
    """
    draft = read_draft(file)
    managers = sorted(signers_of(draft.loaded))
    if not managers:
        remedy = "add a pool of role management with one server, and issue its certificates: sipmesh ca issue NAME"
        raise OperatorError(f"{file} names no management server; {remedy}")
    with opened(file.parent) as management_db:
        versions = PublishedVersion(management_db, DocumentStore(file.parent, managers[0]))
        versions.begin()
        request = PublishRequest(draft, who, why, at, role=OF_HOST)
        with owned_state(file.parent / STATE, managers[0]):
            version = publish(versions, request, view(draft.loaded, managers[0])).version
            versions.keep_own(version)
        return version


@dataclass(frozen=True, slots=True)
class Rested:
    """A version that was published while no server ran: *changes* in words, *forced* is what it breaks by ``--force``."""

    version: Version
    changes: Sequence[str]
    forced: Sequence[str]


def publish_at_rest(
    file: Path,
    who: str,
    why: str,
    at: datetime,
    tell: Tell,
    *,
    base: int,
    digest: str,
    force: bool,
    unapproved: bool = False,
) -> Rested:
    """Sign the draft in *file* as the next version; it is in force when the management server starts.

    *base* and *digest* are from the plan that the operator has seen.

    Meanwhile no server reports which anchors are in use, so all anchors count as used. Raises `OperatorError` for a draft that
    would break something without *force*, and if the version in force was changed or does not fit this folder. With
    *unapproved* no approval of operators is needed: servers refuse the version until each has joined again.
    """
    with opened(file.parent) as management_db, _audited(management_db, who, at, {"act": "publish", "why": why}):
        draft = read_draft(file, digest)
        request = PublishRequest(draft, who, why, at, base, force, unapproved=unapproved, role=OF_HOST)
        return _publish_next(management_db, request, file.parent, tell)


def plan_at_rest(file: Path) -> Plan:
    """Return what publishing the draft in *file* would change, without a running server; raises `OperatorError`."""
    if not has_management_db(file.parent):
        raise OperatorError("no version is published: servers read the file; see: sipmesh topology publish --help")
    with opened(file.parent) as management_db:
        draft = read_draft(file)
        versions, before = accepted(management_db, at=now_utc())
        needs = approval_needs(versions.publication(), draft, before)
    new, (in_use, unread) = draft.loaded, _in_use(before)
    changes = [*changes_between(before, new), *unread]
    given = draft_grants(before, new)
    found, operators = breaks(before, new, in_use), changed_by_operators(before, new)
    return Plan(file.name, before.number, new.digest, changes, found, needs, given, operators)


def block_at_rest(folder: Path, name: str, who: str, at: datetime, tell: Tell) -> Rested:
    """Sign the newest version with one change as the next version: *name* is blocked. The draft is not used.

    Returns the newest version if *name* is blocked already. Raises `OperatorError` if it cannot be blocked.
    """
    with opened(folder) as management_db, _audited(management_db, who, at, {"act": "block", "name": name}):
        versions, before = accepted(management_db, at=at)
        draft = blocking(versions.publication(), name, folder)
        if draft is None:
            return Rested(management_db.history.get(before.number).version, (), ())
        request = PublishRequest(draft, who, f"{name} is blocked", at, before.number, role=OF_HOST)
        return _publish_next(management_db, request, folder, tell)


@contextmanager
def _audited(management_db: ManagementDb, who: str, at: datetime, about: Mapping[str, object]) -> Iterator[None]:
    """Record a refused attempt in the audit log."""
    try:
        yield
    except OperatorError as wrong:
        management_db.audit.append(who, AuditAct.REFUSED, {**about, "refused": wrong.message}, at=at)
        raise


def accepted(management_db: ManagementDb, *, at: datetime) -> tuple[PublishedVersion, Loaded]:
    """Return the versions of this host's stopped management server, and the newest version that counts at time *at*.

    Raises `OperatorError` if nothing was published, or this host has no certificate of a management server.
    """
    if management_db.history.head() is None:
        raise OperatorError("there is no published version yet")
    versions = PublishedVersion.of(management_db)
    if versions is None:
        remedy = "issue its certificates again: sipmesh ca issue NAME"
        reason = f"{management_db.folder} has no signer of a management server"
        raise OperatorError(f"the topology cannot be signed: {reason}; {remedy}")
    versions.begin()
    return versions, versions.catch_up(versions.load(), at)


def _publish_next(management_db: ManagementDb, request: PublishRequest, folder: Path, tell: Tell) -> Rested:
    versions, before = accepted(management_db, at=request.at)
    in_use, unread = _in_use(before)
    server = view(before, versions.documents.name)
    with owned_state(folder / STATE, server.name):  # a server that starts has read the version before
        new: NewVersion = publish(versions, request, server, before, in_use)
        versions.keep_own(new.version)
    follow_up(folder, management_db, before, request.draft.loaded, request.who, request.at, tell)
    return Rested(new.version, [*new.changes, *unread], new.forced)


def _in_use(before: Loaded) -> tuple[InUse, Sequence[str]]:
    """Return all anchors, the users' home pools and domains, and why the user database could not be read.

    If the database cannot be opened, the version is published without home pools and domains: it may name another database.
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
