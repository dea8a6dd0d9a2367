"""The approvals of a draft, from the signatures that operators have put into the folder ``approvals``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.replication.topology_source import version_of
from sipmesh.topology.document.operators.sshsig import LARGEST, UnusableKeyError, unarmoured
from sipmesh.topology.versions.approval import (
    NotApprovedError,
    Proposal,
    approvers,
    must_be_approved,
    proposal_of,
)
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import NOT_APPROVED, Approved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Approvals
    from sipmesh.topology.versions.publication import Draft, Publication

FOLDER: Final = "approvals"
"""The folder beside the draft, in which proposals and their signatures are."""

SUFFIX: Final = ".sig"
MOST_FILES: Final = 1000
BEGINNING: Final = datetime.fromtimestamp(0, UTC)


def proposal(management_db: ManagementDb, draft: Draft) -> Proposal:
    """Return what operators have to sign before *draft* can be published; raises `OperatorError`."""
    return _proposed(_newest(management_db), draft)


def _proposed(newest: Publication | None, draft: Draft) -> Proposal:
    serial = newest.serial + 1 if newest is not None else 1
    return Proposal(draft.loaded.topology.organisation, serial, draft.topology, draft.files)


def _newest(management_db: ManagementDb) -> Publication | None:
    head = management_db.history.head()
    return version_of(management_db, head.number) if head is not None else None


def approved(management_db: ManagementDb, draft: Draft, *, unapproved: bool = False) -> Approved:
    """Return the approvals with which *draft* may be published; with *unapproved* a new serial number without any.

    Without `approvals` in both documents there are none. The rule of the version in force must be met, since servers check it,
    and the new rule too: else nobody could publish after it. Raises `OperatorError` with what is missing.
    """
    newest, new = _newest(management_db), draft.loaded.topology.approvals
    old = load_published(newest, draft.loaded.folder).topology if newest is not None else None
    rules = [rule for rule in (old.approvals if old is not None else None, new) if rule is not None]
    if unapproved:
        return Approved(newest.serial + 1 if newest is not None else 1)
    if not rules:
        return Approved(newest.serial) if newest is not None and newest.serial else NOT_APPROVED
    if newest is not None and (newest.topology, dict(newest.files)) == (draft.topology, dict(draft.files)):
        return Approved(newest.serial, newest.approvals)
    wanted = _proposed(newest, draft)
    found = Approved(wanted.serial, _signed(rules, wanted, draft.loaded))
    try:
        _check(newest, draft, old.approvals if old is not None else None, new, found)
    except NotApprovedError as wrong:
        remedy = "sipmesh topology propose writes what operators sign; put their signatures into the folder approvals"
        raise OperatorError(f"not published, since operators have not approved it: {wrong}; {remedy}") from None
    return found


def _check(
    newest: Publication | None, draft: Draft, old: Approvals | None, new: Approvals | None, found: Approved
) -> None:
    publication = _as_published(draft, found)
    if newest is not None and old is not None:
        must_be_approved(
            newest, load_published(newest, draft.loaded.folder).topology, publication, draft.loaded.topology
        )
    if new is not None and new != old:
        octets = proposal_of(publication).encode()
        count = len(approvers(new, octets, found.signatures.values()))
        if count < new.publish:
            raise NotApprovedError(f"{count} of {new.publish} operators of the new rule have approved it")


def _as_published(draft: Draft, found: Approved) -> Publication:
    """Return the draft as a publication, for checks only."""
    return draft.compiled(1, "nobody", "a check", at=BEGINNING, approved=found)


def _signed(rules: list[Approvals], wanted: Proposal, loaded: Loaded) -> dict[str, bytes]:
    """Return the signatures of the operators of all *rules* under *wanted*, by name."""
    octets, blobs = wanted.encode(), list(_signatures(loaded.folder / FOLDER))
    found: dict[str, bytes] = {}
    for rule in rules:
        for name, blob in approvers(rule, octets, blobs).items():
            if blob not in found.values():
                found[name if name not in found else f"{name} (new key)"] = blob
    return found


def _signatures(folder: Path) -> Iterator[bytes]:
    """Return the signatures in a folder, the newest `MOST_FILES`; files that contain none are left out."""
    files = sorted(folder.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[:MOST_FILES]:
        try:
            with file.open("rb") as opened:
                yield unarmoured(opened.read(LARGEST + 1).decode("ascii"))
        except (OSError, UnicodeDecodeError, UnusableKeyError):
            continue
