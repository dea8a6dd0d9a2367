"""Publishing while no management server runs, by whoever has its folder: the first version, and one that lets it start again.

A management server whose port or address is not to be had any more cannot start, and so cannot be asked to publish another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.management.decommission import Tell, follow_up
from sipmesh.server.management.document_signing import sign_as
from sipmesh.server.management.emergency_block import blocking
from sipmesh.server.management.publish_checks import from_a_restart, must_open
from sipmesh.server.replication.crl_store import must_be_portable
from sipmesh.server.replication.document_store import signers_of
from sipmesh.server.replication.topology_source import version_of
from sipmesh.storage.audit import AuditAct
from sipmesh.storage.history import Version
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users import Users
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.breaking_changes import dangers
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Draft
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from sipmesh.storage.history import Slot
    from sipmesh.topology.document.load import Loaded


def publish_first(file: Path, who: str, why: str, at: datetime) -> Version:
    """Sign the draft in *file* as version 1, and begin the history beside it.

    Raises `OperatorError` for a draft with problems or without management, and where something was published before.
    """
    draft = _draft(file)
    managers = sorted(signers_of(draft.loaded))
    if not managers:
        remedy = "add a pool of role management with one server, and issue its certificates: sipmesh ca issue NAME"
        raise OperatorError(f"{file} names no management server; {remedy}")
    must_be_portable(draft.loaded)
    must_open(draft.loaded)
    server = view(draft.loaded, managers[0])

    def make(slot: Slot) -> bytes:
        made = draft.compiled(slot.number, who, why, at=at, previous=slot.previous, audit=slot.audit)
        return sign_as(server, made.encode(), KIND, at)

    management_db = ManagementDb(file.parent)
    try:
        return management_db.history.publish(0, make, who, why, at=at)
    finally:
        management_db.close()


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
    management_db = ManagementDb(file.parent)
    try:
        return _publish_next(management_db, _draft(file), file.parent, who, why, at, tell, force=force)
    except OperatorError as wrong:
        management_db.audit.append(
            who, AuditAct.REFUSED, {"act": "publish", "why": why, "refused": wrong.message}, at=at
        )
        raise
    finally:
        management_db.close()


def block_at_rest(folder: Path, name: str, who: str, at: datetime, tell: Tell) -> Rested:
    """Sign the newest version with one change as the next one: *name* is blocked. What stands in the draft stays there.

    Where it is blocked already, the newest version is given. Raises `OperatorError` where it cannot be blocked.
    """
    management_db = ManagementDb(folder)
    try:
        head = _head(management_db)
        draft = blocking(version_of(management_db, head.number), name, folder)
        if draft is None:
            return Rested(head, (), ())
        return _publish_next(management_db, draft, folder, who, f"{name} is blocked", at, tell, force=False)
    except OperatorError as wrong:
        management_db.audit.append(
            who, AuditAct.REFUSED, {"act": "block", "name": name, "refused": wrong.message}, at=at
        )
        raise
    finally:
        management_db.close()


def _head(management_db: ManagementDb) -> Version:
    head = management_db.history.head()
    if head is None:
        raise OperatorError("there is no published version yet")
    return head


def _publish_next(
    management_db: ManagementDb,
    draft: Draft,
    folder: Path,
    who: str,
    why: str,
    at: datetime,
    tell: Tell,
    *,
    force: bool,
) -> Rested:
    head = _head(management_db)
    must_be_portable(draft.loaded)
    before = load_published(version_of(management_db, head.number), folder)
    must_open(draft.loaded, before)
    homes, domains, unasked = _places(before)
    found = list(_dangers(before, draft.loaded, homes, domains))
    if found and not force:
        told = "; ".join(found)
        raise OperatorError(
            f"not published, because the change breaks something: {told}; to publish it anyway, add --force"
        )
    server = view(before, min(signers_of(before)))

    def make(slot: Slot) -> bytes:
        made = draft.compiled(
            slot.number, who, why, at=at, forced=bool(found), previous=slot.previous, audit=slot.audit
        )
        return sign_as(server, made.encode(), KIND, at)

    version = management_db.history.publish(head.number, make, who, why, at=at, dangers=found)
    follow_up(folder, management_db.audit, before, draft.loaded, who, at, tell)
    changes = [*difference(before, draft.loaded), *from_a_restart(before, draft.loaded), *unasked]
    return Rested(version, changes, found)


def _places(before: Loaded) -> tuple[frozenset[str], frozenset[str], Sequence[str]]:
    """Where users are at home, the domains of their addresses, and why they could not be asked.

    A version is published without them where their database cannot be opened: it may be the one that names another.
    """
    try:
        users = Users(before.users_url)
    except OperatorError as wrong:
        return (
            frozenset(),
            frozenset(),
            (f"the user database could not be read for home pools and domains: {wrong.message}",),
        )
    try:
        return *users.places(), ()
    except OperatorError as wrong:
        return (
            frozenset(),
            frozenset(),
            (f"the user database could not be read for home pools and domains: {wrong.message}",),
        )
    finally:
        users.close()


def _dangers(before: Loaded, new: Loaded, homes: frozenset[str], domains: frozenset[str]) -> Sequence[str]:
    authorities = before.authorities
    anchors = {anchor.fingerprint(SHA256()).hex() for authority in authorities for anchor in authority.anchors}
    at_home = {home or home_by_default(before.topology) for home in homes}
    return dangers(before, new, in_use=anchors, domains=domains, homes=at_home)


def _draft(file: Path) -> Draft:
    try:
        content = file.read_bytes()
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "write the draft to this file")
        raise OperatorError("there is no draft to publish", (problem,)) from None
    return Draft.read(content, file)
