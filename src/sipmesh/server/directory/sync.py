"""One sync: read the directory, compare, and take the steps; the same for the command and for the management server."""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.errors import NotLeadingError, OperatorError
from sipmesh.routing.identity.alias import folded
from sipmesh.server.control_socket import STATE
from sipmesh.server.directory.comparison import Comparison, Conflict, compare
from sipmesh.server.directory.directory_reader import most_loss_of
from sipmesh.server.directory.entry_sync import EntrySync
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryLink, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks, HeldUsers

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from sipmesh.server.directory.entry_reader import Answer
    from sipmesh.server.directory.source import Source
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded

AT_ONCE: Final = 200
"""Steps of one transaction."""

LOCK: Final = "directory.lock"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the directory has found: the *answer* of *server*, and its *comparison* with the users here.

    *refused* says why the steps must not be taken without an operator, "" if they may be.
    """

    server: str
    answer: Answer
    comparison: Comparison
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """How many steps of each kind were taken, the conflicts that are left, and how many certificates were revoked."""

    steps: Mapping[StepKind, int]
    conflicts: Sequence[Conflict]
    revoked: int = 0


@dataclass(frozen=True, slots=True)
class DirectoryCounts:
    """How many *users* come from the directory, and how many of them have lost their access by it (*ended*)."""

    users: int
    ended: int


@dataclass(frozen=True, slots=True)
class Explained:
    """What the *answer* of *server* has of *user*, the *link* of the user here, and the *comparison* of both."""

    user: str
    server: str
    answer: Answer
    is_user: bool
    link: DirectoryLink | None
    comparison: Comparison

    def verdict(self) -> tuple[str, str]:
        """Say what a sync makes of the user, and the remedy of a conflict, "" without one."""
        if self.comparison.conflicts:
            first = self.comparison.conflicts[0]
            return f"{first.user}: {first.reason}", first.remedy
        if self.comparison.steps:
            kinds = " and ".join(str(step.kind) for step in self.comparison.steps)
            return f"The next sync changes the user: {kinds}.", ""
        return "A sync changes nothing.", ""


class DirectorySync:
    """Syncs of the users of *loaded* in *users* with *source*; *who* is the operator in the audit log of *management_db*.

    *end_devices* revokes the certificates of all devices of users, addresses without scheme, and says how many there were.
    """

    def __init__(
        self,
        loaded: Loaded,
        users: Users,
        management_db: ManagementDb,
        who: str,
        end_devices: Callable[[Collection[str], datetime], int],
        source: Source,
    ) -> None:
        self._loaded, self._management_db, self._who = loaded, management_db, who
        self._end_devices, self._source, self._links = end_devices, source, DirectoryLinks(users)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other sync run on this host; the kernel ends this if the process ends. Only the leader of a pool may sync.

        Raises `OperatorError`.
        """
        self._management_db.lease.must_lead()
        descriptor = os.open(self._loaded.folder / STATE / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise OperatorError("another sync of the directory runs; try again in a minute") from None
        finally:
            os.close(descriptor)

    def look(self, at: datetime, read: Callable[[Loaded, datetime], tuple[Answer, str]] | None = None) -> Looked:
        """Read the source, or else by *read*, and compare; nothing changes. Raises `OperatorError` without a whole answer."""
        answer, server = self._source.read(at) if read is None else read(self._loaded, at)
        comparison = compare(answer, self._links.held(), at)
        return Looked(server, answer, comparison, self._refusal(comparison))

    def change_entry(
        self,
        entry_id: str,
        entry: DirectoryEntry | None,
        at: datetime,
        store: Callable[[Connection], None],
        *,
        accept_loss: bool,
    ) -> Mapping[StepKind, int]:
        """Make one user what the *entry* of a SCIM client says, as `EntrySync.change` does, and revoke what is to be revoked."""
        self._management_db.lease.must_lead()
        entries = EntrySync(self._links, most_loss_of(self._loaded), self._note_steps)
        try:
            return entries.change(entry_id, entry, at, store, accept_loss=accept_loss)
        finally:
            self._revoke(at)

    def _refusal(self, comparison: Comparison) -> str:
        loss, most = comparison.loss, most_loss_of(self._loaded)
        if not loss.is_beyond(most):
            return ""
        lately = f", and {loss.before} have lost it in the last day" if loss.before else ""
        return f"{loss.lost} of {loss.users} users would lose their access{lately}: more than {most} %"

    def take(self, looked: Looked, at: datetime, *, accept_loss: bool = False) -> Taken:
        """Take the steps; what an earlier sync has left is finished too. Raises `OperatorError` if they are refused."""
        if looked.refused and not accept_loss:
            remedy = "if this is right: sipmesh directory apply --accept-loss"
            raise OperatorError(f"nothing is changed: {looked.refused}; see sipmesh directory plan, and {remedy}")
        steps, counts, failed = looked.comparison.steps, Counter[StepKind](), list[Conflict]()
        for first in range(0, len(steps), AT_ONCE):
            batch = steps[first : first + AT_ONCE]
            for taken in self._batches(batch, at, failed, is_loss=not accept_loss):
                counts.update(step.kind for step in taken)
        revoked = self._revoke(at)
        return Taken(counts, [*looked.comparison.conflicts, *failed], revoked)

    def _batches(
        self, batch: Sequence[DirectoryStep], at: datetime, failed: list[Conflict], *, is_loss: bool
    ) -> Iterator[Sequence[DirectoryStep]]:
        """Take *batch* at once. If one of its users cannot be taken, take each half by itself. Yield what was taken.

        Raises `OperatorError` if the cause is no user: this server does not lead any more, or a database is away.
        """
        self._management_db.lease.must_lead()
        try:
            self._links.take(batch, at, is_loss=is_loss, note=partial(self._note_steps, batch, at))
        except NotLeadingError:
            raise
        except OperatorError as wrong:
            self._management_db.audit.head()
            self._links.counts()
            if middle := len(batch) // 2:
                for half in (batch[:middle], batch[middle:]):
                    yield from self._batches(half, at, failed, is_loss=is_loss)
            else:
                user = batch[0].aor.removeprefix("sip:")
                failed.append(Conflict(user, wrong.message, f"to see both sides: sipmesh directory explain {user}"))
            return
        yield batch

    def _note_steps(self, steps: Sequence[DirectoryStep], at: datetime) -> None:
        self._note([_about(step) for step in steps], at)

    def note(self, about: Mapping[str, object], at: datetime) -> None:
        """Write one line about a group of a SCIM client."""
        self._note([about], at)

    def _note(self, lines: Sequence[Mapping[str, object]], at: datetime) -> None:
        audit = self._management_db.audit
        with audit.changing() as db:
            audit.add_all(db, self._who, AuditAct.USER, lines, at=at)

    def _revoke(self, at: datetime) -> int:
        """Revoke the device certificates of users who have lost their access, and those of earlier names, many by one CRL."""
        count, links = 0, self._links.to_revoke()
        for first in range(0, len(links), AT_ONCE):
            batch = links[first : first + AT_ONCE]
            count += self._end_devices([aor.removeprefix("sip:") for link in batch for aor in link.to_revoke], at)
            self._links.revoked(batch)
        return count

    def counts(self) -> DirectoryCounts:
        """Return how many users come from the directory, and how many of them have no access by it."""
        return DirectoryCounts(*self._links.counts())

    def adopt(self, user: str, at: datetime) -> DirectoryEntry:
        """Let the local user of an entry's name come from this entry; raises `OperatorError` unless there is one such entry."""
        if (made := self._source.made_for(f"sip:{user}", at)) is not None:
            return self._adopt(made[0], at, made[1])
        answer, server = self._source.read_entry(user, at)
        entries = [entry for entry in answer.entries if entry.aor == f"sip:{user}"]
        if len(entries) != 1:
            found = "several entries" if entries else "no usable entry"
            raise OperatorError(f"{server} has {found} for {user}; see: sipmesh directory explain {user}")
        return self._adopt(entries[0], at)

    def explain(self, user: str, at: datetime) -> Explained:
        """Return what the directory has of *user*, an address without scheme, what we have, and what a sync makes of it."""
        held = self._links.held()
        known = held.users.get(folded(f"sip:{user}"))
        own = next((one for one in held.links.values() if known is not None and one.aor == known.aor), None)
        answer, server = self._source.read_entry(user, at, own.id if own is not None else "")
        ids = {entry.id for entry in answer.entries}
        links = {one.id: one for one in held.links.values() if one.id in ids or one is own}
        comparison = compare(answer, HeldUsers(held.users, links), at)
        return Explained(user, server, answer, known is not None, own or next(iter(links.values()), None), comparison)

    def adopt_all(self, at: datetime) -> Sequence[DirectoryEntry]:
        """Adopt each user who has the name of one entry, and comes from no other entry that is there."""
        if self._loaded.topology.scim is not None:
            return [self.adopt(aor.removeprefix("sip:"), at) for aor in self._links.local_users()]
        answer, _ = self._source.read(at)
        held, names = self._links.held(), Counter(entry.aor for entry in answer.entries)
        present = {entry.id for entry in answer.entries} | set(answer.unusable)
        taken = {link.aor for link in held.links.values() if link.id in present}
        wanted = [
            replace(entry, aor=held.users[entry.aor].aor)
            for entry in answer.entries
            if entry.aor in held.users and names[entry.aor] == 1 and not entry.ended_by and entry.id not in held.links
        ]
        return [self._adopt(entry, at) for entry in wanted if entry.aor not in taken]

    def _adopt(
        self, entry: DirectoryEntry, at: datetime, also: Callable[[Connection], None] | None = None
    ) -> DirectoryEntry:
        self._management_db.lease.must_lead()
        self._links.adopt(entry, at, also)
        self._note([{"user": entry.aor.removeprefix("sip:"), "directory": "adopt", "id": entry.id}], at)
        return entry


def _about(step: DirectoryStep) -> Mapping[str, object]:
    """Return the line of a step in the audit log."""
    names = [aor.removeprefix("sip:") for aor in step.changed]
    entry_id = step.entry.id if step.entry is not None else step.link.id if step.link is not None else ""
    about: dict[str, object] = {"user": names[-1], "directory": str(step.kind), "id": entry_id}
    details: dict[str, object] = {
        "before": names[0] if len(names) > 1 else "",
        "because": step.ended_by,
        "aliases": list(step.adds),
        "without": list(step.drops),
        "pool": step.pool,
    }
    return {**about, **{key: value for key, value in details.items() if value}}
