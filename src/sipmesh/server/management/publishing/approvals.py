"""The approvals of a draft, from the signatures that operators have put into the folder ``approvals``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.topology.document.operators.sshsig import LARGEST, UnusableKeyError, unarmoured
from sipmesh.topology.versions.approval import (
    REJECTION,
    ApprovalNeed,
    NotApprovedError,
    Proposal,
    approvers,
    must_be_approved,
    needed_approvals,
    rejection_octets,
)
from sipmesh.topology.versions.publication import NOT_APPROVED, Approved
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.approvals import Approvals
    from sipmesh.topology.versions.publication import Draft, Publication

FOLDER: Final = "approvals"
"""The folder beside the draft, in which proposals and their signatures are."""

SUFFIX: Final = ".sig"
REJECTION_SUFFIX: Final = ".rejection"
MOST_FILES: Final = 1000
BEGINNING: Final = datetime.fromtimestamp(0, UTC)


def proposal(newest: Publication | None, draft: Draft) -> Proposal:
    """Return what operators have to sign before *draft* can follow *newest*, the version in force; None if there is none."""
    return Proposal(draft.loaded.topology.organisation, _next_serial(newest), draft.topology, draft.files)


def _next_serial(newest: Publication | None) -> int:
    return newest.serial + 1 if newest is not None else 1


def approved(newest: Publication | None, draft: Draft, before: Loaded | None, *, unapproved: bool = False) -> Approved:
    """Return the approvals with which *draft* may be published; with *unapproved* a new serial number without any.

    *newest* is the publication in force, and *before* its topology; both are None for the first version. Without `approvals` in
    both documents there are none. The rule of the version in force must be met, since servers check it, and the new rule too:
    else no operator could publish after it. Raises `OperatorError` with what is missing.
    """
    new = draft.loaded.topology
    old_rule, rules = _old_rule(before), _rules(before, draft)
    if unapproved:
        return Approved(_next_serial(newest))
    if not rules:
        return Approved(newest.serial) if newest is not None and newest.serial else NOT_APPROVED
    if newest is not None and _is_content_of(newest, draft):
        return Approved(newest.serial, newest.approvals)
    wanted = proposal(newest, draft)
    found = Approved(wanted.serial, _signed(rules, wanted, draft.loaded))
    try:
        if newest is not None and before is not None:
            must_be_approved(newest, before.topology, _as_published(draft, found), new)
        if new.approvals is not None and new.approvals != old_rule:
            _must_meet(new.approvals, wanted, found)
    except NotApprovedError as wrong:
        remedy = "sipmesh topology propose writes what operators sign; put their signatures into the folder approvals"
        raise OperatorError(f"not published, since operators have not approved it: {wrong}; {remedy}") from None
    return found


def approval_needs(newest: Publication, draft: Draft, before: Loaded) -> Sequence[ApprovalNeed]:
    """Return what *draft* needs of operators after *newest*, the version in force; empty if it needs nothing of them.

    *before* is the topology of *newest*. The rule in force counts, and a new rule in the draft too.
    """
    rules = _rules(before, draft)
    if not rules or _is_content_of(newest, draft):
        return ()
    wanted, folder = proposal(newest, draft), draft.loaded.folder / FOLDER
    found = Approved(wanted.serial, _signed(rules, wanted, draft.loaded))
    return [
        _need(rule, wanted, found, "the version in force", _needed(rule, newest, before, draft, found), folder)
        if rule == _old_rule(before)
        else _need(rule, wanted, found, "the new version", rule.publish, folder)
        for rule in rules
    ]


def _needed(rule: Approvals, newest: Publication, before: Loaded, draft: Draft, found: Approved) -> int:
    return needed_approvals(rule, newest, before.topology, _as_published(draft, found), draft.loaded.topology)


def _need(rule: Approvals, wanted: Proposal, found: Approved, by: str, needed: int, folder: Path) -> ApprovalNeed:
    rejected = _rejected(rule, wanted, folder)
    names = approvers(rule, wanted.encode(), found.signatures.values())
    against = [f"{name}: {why}" for name, why in sorted(rejected.items())]
    return ApprovalNeed(by, needed, [operator.name for operator in rule.operators], sorted(names), against)


def _old_rule(before: Loaded | None) -> Approvals | None:
    return before.topology.approvals if before is not None else None


def _rules(before: Loaded | None, draft: Draft) -> list[Approvals]:
    """Return the rule in force and the rule of the draft, those that exist, each once."""
    rules = (_old_rule(before), draft.loaded.topology.approvals)
    return list(dict.fromkeys(rule for rule in rules if rule is not None))


def _is_content_of(newest: Publication, draft: Draft) -> bool:
    return (newest.topology, dict(newest.files)) == (draft.topology, dict(draft.files))


def _must_meet(rule: Approvals, wanted: Proposal, found: Approved) -> None:
    count = len(approvers(rule, wanted.encode(), found.signatures.values()))
    if count < rule.publish:
        raise NotApprovedError(f"{count} of {rule.publish} operators of the new rule have approved it")


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


@dataclass(frozen=True, slots=True)
class _Rejection:
    why: str
    signature: str


def _rejected(rule: Approvals, wanted: Proposal, folder: Path) -> dict[str, str]:
    """Return the operators of *rule* who have rejected *wanted*, each with the reason; other files are left out."""
    found: dict[str, str] = {}
    for file in _newest_files(folder, REJECTION_SUFFIX):
        try:
            rejection = read_document(_Rejection, read_file(file, LARGEST))
            signature = unarmoured(rejection.signature)
        except (UnusableFileError, UnreadableJsonError, UnusableKeyError):
            continue
        names = approvers(rule, rejection_octets(wanted, rejection.why), [signature], REJECTION)
        found |= dict.fromkeys(names.keys() - found.keys(), rejection.why)
    return found


def _newest_files(folder: Path, suffix: str) -> Sequence[Path]:
    files = sorted(folder.glob(f"*{suffix}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return files[:MOST_FILES]


def _signatures(folder: Path) -> Iterator[bytes]:
    """Return the signatures in a folder, the newest `MOST_FILES`; files that contain none are left out."""
    for file in _newest_files(folder, SUFFIX):
        try:
            yield unarmoured(read_file(file, LARGEST).decode("ascii"))
        except (UnusableFileError, UnicodeDecodeError, UnusableKeyError):
            continue
