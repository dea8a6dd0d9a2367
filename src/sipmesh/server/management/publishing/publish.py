"""Publishing: a draft is checked, compared, signed and kept as the next version, all of it or nothing.

There is no other way into the history: the first version, one that a running management server makes, one that is made while none
runs, a block, a rollback and a relocation all pass here, and so every check.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.management.publishing.publish_checks import from_a_restart, must_open
from sipmesh.server.replication.crl_store import LARGEST_GIVEN, must_be_portable
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.breaking_changes import dangers
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.publication import KIND, Draft
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sipmesh.storage.history import Slot, Version
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class InUse:
    """What a new version may break: anchors by SHA-256 fingerprint in hex, home pools and SIP domains of users.

    A home of "" is that of users who were given none.
    """

    anchors: frozenset[str] = frozenset()
    homes: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A *draft* to be published: *who* asks for it, *why*, and when (*at*, timezone-aware).

    *base* is the number of the version that the draft was compared with, 0 where there is none. *force* publishes a draft
    although it breaks something. *act* is what the audit log calls it.
    """

    draft: Draft
    who: str
    why: str
    at: datetime
    base: int = 0
    force: bool = False
    act: AuditAct = AuditAct.PUBLISH


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that was published: *changes* in words, *forced* what it was said to break."""

    version: Version
    changes: Sequence[str] = ()
    forced: Sequence[str] = ()


NOTHING: Final = InUse()


def publish(
    management_db: ManagementDb,
    request: PublishRequest,
    signer: ServerView,
    before: Loaded | None = None,
    in_use: InUse = NOTHING,
) -> NewVersion:
    """Sign a draft as the next version and keep it with its line in the audit log; *signer* is the management server.

    *before* is the version in force, None for the first one. Raises `OperatorError`, and then nothing has changed:

    - a CRL lies where other servers cannot have it;
    - the user database does not open;
    - the draft breaks something, and the request has no *force*;
    - the signed document is larger than a link carries;
    - the history has a newer version than *base*.
    """
    draft, at = request.draft, request.at
    must_be_portable(draft.loaded)
    must_open(draft.loaded, before)
    found = breaks(before, draft.loaded, in_use) if before is not None else ()
    if found and not request.force:
        sentences = "; ".join(found)
        raise OperatorError(f"not published, since it would break something: {sentences}; --force does it all the same")

    def make(slot: Slot) -> bytes:
        made = draft.compiled(
            slot.number,
            request.who,
            request.why,
            at=at,
            forced=bool(found),
            previous=slot.previous,
            audit=slot.audit,
        )
        return must_fit(sign_as(signer, made.encode(), KIND, at))

    version = management_db.history.publish(
        request.base, make, request.who, request.why, at=at, dangers=found, act=request.act
    )
    return NewVersion(version, changes_between(before, draft.loaded) if before is not None else (), found)


def must_fit(signed: bytes) -> bytes:
    """Give the signed document back; raises `OperatorError` for one that is larger than what a server takes from a link."""
    if len(signed) > LARGEST_GIVEN:
        raise OperatorError(f"the publication has {len(signed)} octets; servers accept at most {LARGEST_GIVEN}")
    return signed


def changes_between(before: Loaded, new: Loaded) -> Sequence[str]:
    """What *new* changes, in words, and what of that counts from a restart only."""
    return [*difference(before, new), *from_a_restart(before, new)]


def breaks(before: Loaded, new: Loaded, in_use: InUse) -> Sequence[str]:
    """What *new* would break, in words."""
    homes = {home or home_by_default(before.topology) for home in in_use.homes}
    return list(dangers(before, new, in_use=in_use.anchors, domains=in_use.domains, homes=homes))


def fingerprints_of(loaded: Loaded) -> Iterable[str]:
    """Every anchor of a version, ours and the partners', as `InUse` has it."""
    for authority in loaded.authorities:
        for anchor in authority.anchors:
            yield fingerprint(anchor)


def read_draft(file: Path) -> Draft:
    """Read the draft in *file*; raises `OperatorError` with every problem of it."""
    try:
        content = file.read_bytes()
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "write the draft to this file")
        raise OperatorError("there is no draft to publish", (problem,)) from None
    return Draft.read(content, file)
