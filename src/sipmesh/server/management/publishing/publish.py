"""Publishing: a draft is checked, compared, signed and stored as the next version, completely or not at all.

This is the only way into the history, so no version skips a check. The first version and each later one use it, with a running
management server and without one. A block, a rollback and a relocation use it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.management.publishing.approvals import approved
from sipmesh.server.management.publishing.document_signing import must_accept_signer, sign_as
from sipmesh.server.management.publishing.draft_grants import draft_grants
from sipmesh.server.management.publishing.publish_checks import (
    from_a_restart,
    look_at_users,
    must_keep_name,
    must_name_files_of_their_kind,
    must_share,
)
from sipmesh.server.replication.crl_store import LARGEST_GIVEN
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.yaml_tree import LARGEST_DOCUMENT
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.breaking_changes import dangers
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.publication import KIND, Approved, Draft
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sipmesh.database.shared import SharedDatabase
    from sipmesh.server.replication.published_version import PublishedVersion
    from sipmesh.storage.history import Slot, Version
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.grants.grant import Grant
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class InUse:
    """What a new version may break: anchors by SHA-256 fingerprint in hex, home pools and SIP domains of users.

    The home "" stands for users without a home pool.
    """

    anchors: frozenset[str] = frozenset()
    homes: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A *draft* to publish: *who* requests it, *why*, and when (*at*, with a time zone).

    *base* is the number of the version that the draft was compared with, 0 if there is none. *force* publishes a draft
    although it breaks something. *act* is the entry in the audit log. *unapproved* publishes without approvals: servers
    refuse the version until each of them has joined again. *role* is that of the operator: each grant of the draft needs one.
    *at_least* is the lowest number that the version may have.
    """

    draft: Draft
    who: str
    why: str
    at: datetime
    base: int = 0
    force: bool = False
    act: AuditAct = AuditAct.PUBLISH
    unapproved: bool = False
    at_least: int = 0
    role: ConsoleRole = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A published version: *changes* in words, *forced* is what it breaks by ``--force``, *granted* its grants."""

    version: Version
    changes: Sequence[str] = ()
    forced: Sequence[str] = ()
    granted: Sequence[Grant] = ()


NOTHING: Final = InUse()

OF_HOST: Final = ConsoleRole.SECURITY_OFFICER
"""The role of who publishes on the management host: that user has the keys of the CA."""


def publish(
    versions: PublishedVersion,
    request: PublishRequest,
    signer: ServerView,
    before: Loaded | None = None,
    in_use: InUse = NOTHING,
    left: Sequence[str] | None = None,
) -> NewVersion:
    """Sign a draft as the next version and store it with its line in the audit log; *signer* is the management server.

    It follows the version that this server has accepted. Other versions in the database of *versions* do not count.
    *before* is the version in force, None for the first one. *left* is what was found by `look_at_users`; without it the user
    databases are looked at here. Raises `OperatorError` in these cases, and changes nothing:

    - it names a file that is not in the folder of its kind;
    - it names another database of management than this host uses;
    - the name of the organisation changes;
    - the draft breaks something, and the request has no *force*;
    - it has a grant that the role of the operator does not allow;
    - the user database does not open, or belongs to another program;
    - the signed document is larger than a link accepts;
    - servers would reject each later version because of the draft, such as one without the CRL of our CA;
    - the history has a newer version than *base*;
    - operators have not approved the draft, by the rule in force or by the new one.
    """
    draft, history = request.draft, versions.management_db.history
    given = must_not_grant(before, draft.loaded, request.role)  # first: `look_at_users` opens what the draft names
    found = _must_pass(request, before, in_use, versions.management_db.shared, left)
    newest = versions.publication() if before is not None else None
    signatures = approved(newest, draft, before, unapproved=request.unapproved)
    version = history.publish(
        request.base,
        partial(_signed, request, signer, signatures, found),
        request.who,
        request.why,
        at=request.at,
        dangers=found,
        grants=[grant.sentence for grant in given],
        act=request.act,
        refused=versions.refused,
        at_least=request.at_least,
    )
    return NewVersion(version, changes_between(before, draft.loaded) if before is not None else (), found, given)


def _must_pass(
    request: PublishRequest,
    before: Loaded | None,
    in_use: InUse,
    shared: SharedDatabase | None,
    left: Sequence[str] | None,
) -> Sequence[str]:
    """Check the draft of *request*, and return what it breaks by *force*; raises `OperatorError`.

    *shared* is the database that management of this host uses, None if it is a file.
    """
    new = request.draft.loaded
    must_name_files_of_their_kind(new, before)
    must_share(new, shared)
    found = breaks(before, new, in_use) if before is not None else ()
    _must_be_forced(found, request)
    left = look_at_users(new, before) if left is None else left
    _must_be_forced(left, request)
    return [*found, *left]


def _must_be_forced(found: Sequence[str], request: PublishRequest) -> None:
    if found and not request.force:
        sentences = "; ".join(found)
        raise OperatorError(f"not published, since it would break something: {sentences}; --force does it anyway")


def _signed(
    request: PublishRequest, signer: ServerView, signatures: Approved, found: Sequence[str], slot: Slot
) -> bytes:
    """Return the signed document of the version in *slot*, which breaks *found*.

    Raises `OperatorError` if it is too large, or if no later version of the same signer could follow it.
    """
    publication = request.draft.compiled(
        slot.number,
        request.who,
        request.why,
        at=request.at,
        forced=bool(found),
        previous=slot.previous,
        audit=slot.audit,
        approved=signatures,
    )
    signed = must_fit(sign_as(signer, publication.encode(), KIND, request.at, slot.fencing))
    must_accept_signer(request.draft.loaded, signed, KIND, signer, request.at)
    return signed


def must_not_grant(before: Loaded | None, new: Loaded, role: ConsoleRole) -> Sequence[Grant]:
    """Return the grants of *new* beside *before*; raises `OperatorError` if one needs a higher role than *role*.

    The first version has no grants: it is made on the management host, by a user with the keys of the CA.
    """
    given = draft_grants(before, new) if before is not None else ()
    must_allow(given, role)
    return given


def must_allow(given: Sequence[Grant], role: ConsoleRole) -> None:
    """Raise `OperatorError` if a grant needs a higher role than *role*."""
    if refused := [grant for grant in given if not role.may(grant.role)]:
        needed = max((grant.role for grant in refused), key=list(ConsoleRole).index)
        sentences = "; ".join(grant.sentence for grant in refused)
        raise OperatorError(f"not published, since this needs the role {needed}: {sentences}")


def must_fit(signed: bytes) -> bytes:
    """Return *signed*; raises `OperatorError` if it is larger than servers accept on a link."""
    if len(signed) > LARGEST_GIVEN:
        raise OperatorError(f"the publication has {len(signed)} octets; servers accept at most {LARGEST_GIVEN}")
    return signed


def changes_between(before: Loaded, new: Loaded) -> Sequence[str]:
    """Return what *new* changes, in words, with the changes that need a restart."""
    return [*difference(before, new), *from_a_restart(before, new)]


def breaks(before: Loaded, new: Loaded, in_use: InUse) -> Sequence[str]:
    """Return what *new* would break, in words; raises `OperatorError` for a change that nothing forces.

    No database is opened: an operator who only compares must not make this host connect anywhere.
    """
    must_keep_name(new, before)
    homes = {home or home_by_default(before.topology) for home in in_use.homes}
    return dangers(before, new, in_use=in_use.anchors, domains=in_use.domains, homes=homes)


def changed_by_operators(before: Loaded, new: Loaded) -> bool:
    """Return whether operators of the console may have changed the draft *new* since version *before*."""
    consoles = (loaded.topology.console for loaded in (before, new))
    return any(console is not None and console.changes_drafts for console in consoles)


def fingerprints_of(loaded: Loaded) -> Iterable[str]:
    """Return the SHA-256 fingerprint in hex of every anchor of a version, ours and the partners'."""
    for authority in loaded.authorities:
        for anchor in authority.anchors:
            yield fingerprint(anchor)


def read_draft(file: Path, digest: str = "") -> Draft:
    """Read the draft in *file*; raises `OperatorError` with all its problems.

    *digest* is that of the draft that was compared, or empty: it raises also if the file has another one.
    """
    try:
        content = read_file(file, LARGEST_DOCUMENT)
    except UnusableFileError as wrong:
        problem = Problem(file, 0, "", str(wrong), "write the draft to this file")
        raise OperatorError("there is no draft to publish", (problem,)) from None
    draft = Draft.read(content, file)
    if digest and draft.loaded.digest != digest:
        raise OperatorError(f"{file} has changed since it was compared; check it again, then publish")
    return draft
