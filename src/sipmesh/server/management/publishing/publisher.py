"""Publishing on a running management server: a draft is compared, published and put in force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.database.number_ceilings import FENCING_NUMBERS, VERSIONS
from sipmesh.errors import OperatorError, Problem
from sipmesh.server.management.publishing.approvals import approval_needs
from sipmesh.server.management.publishing.decommission import follow_up
from sipmesh.server.management.publishing.draft_grants import draft_grants
from sipmesh.server.management.publishing.emergency_block import blocking
from sipmesh.server.management.publishing.publish import (
    InUse,
    NewVersion,
    PublishRequest,
    breaks,
    changed_by_operators,
    changes_between,
    must_not_grant,
    publish,
    read_draft,
)
from sipmesh.server.management.publishing.publish_checks import look_at_users
from sipmesh.server.management.replies import LOOK_S, Plan, PutInForce
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.off_loop import LARGE, OPENER, when_large, within
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft

DRAFT: Final = "topology.yaml"
"""The file name of the draft, unless another one is given."""

_NO_ROLE: Final = ConsoleRole.VIEWER
"""The role of management itself: what it publishes by itself has no grants."""

LOOK_EVERY_S: Final = 0.1
"""Seconds between two looks at the clock, until it has reached a number."""

PLAN_S: Final = 10.0
"""Seconds for a plan, off the event loop: it reads the draft with its anchors and CRLs, and the users in force."""

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.management.server_reports import ServerReports
    from sipmesh.server.replication.published_version import PublishedVersion
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


class ManagementServer(Protocol):
    """The server whose topology is in force."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""


class Places(Protocol):
    """What publishing needs to know of the users."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the home pools of users ("" for users without one), and the domains of their addresses."""

    def overtake(self) -> int:
        """Raise the number of the users above all that servers can have accepted by now; returns it."""


class Publisher:
    """Makes versions. A thread reads, compares and stores a large one.

    *apply* puts a stored version in force, given its number and octets, and returns the ids of the links that it closed.
    *own_status* returns the status of this server. The holder of *turn* publishes alone.
    """

    def __init__(
        self,
        server: ManagementServer,
        own_status: Callable[[], ServerStatus],
        versions: PublishedVersion,
        users: Places,
        reports: ServerReports,
        apply: Callable[[int, int], Awaitable[list[str]]],
        log: Log,
    ) -> None:
        self._server, self._own_status, self._versions = server, own_status, versions
        self._management_db = versions.management_db
        self._users, self._reports, self._apply, self._log = users, reports, apply, log
        self._folder, self.turn = server.view.loaded.folder, asyncio.Lock()

    async def plan(self, name: str = DRAFT) -> Plan:
        """Return what publishing the file *name* would change; raises `OperatorError` for a draft with problems.

        It opens no database that only the draft names. Raises it also if that takes longer than `PLAN_S`.
        """
        in_force, anchors = self._server.view.loaded, self._anchors_in_use()
        return await within(PLAN_S, "the plan", self._plan, name, in_force, anchors)

    def _plan(self, name: str, in_force: Loaded, anchors: frozenset[str]) -> Plan:
        draft = self._read_draft(name)
        new, needs = draft.loaded, approval_needs(self._versions.publication(), draft, in_force)
        found = breaks(in_force, new, self._in_use(anchors))
        changes, given = changes_between(in_force, new), draft_grants(in_force, new)
        operators = changed_by_operators(in_force, new)
        return Plan(name, in_force.number, new.digest, changes, found, needs, given, operators)

    async def publish(
        self,
        who: str,
        why: str,
        base: int,
        digest: str,
        *,
        force: bool,
        name: str = DRAFT,
        role: ConsoleRole,
        overtake: bool = False,
    ) -> PutInForce:
        """Sign the draft as the next version and put it in force; if this raises `OperatorError`, nothing has changed.

        *base* and *digest* are from the plan that the operator has seen; *name* is the file of that plan. *overtake* uses numbers
        above all that servers report: another management server has used them.
        """
        async with self._audited(who, {"act": "publish", "why": why}):
            octets = self._octets(name)
            draft = await when_large(octets, self._read_draft, name, digest)
            left = await self._look_at_users(draft.loaded, role)
            async with self.turn:
                at_least = await self._overtake() if overtake else 0
                request = PublishRequest(draft, who, why, now_utc(), base, force, at_least=at_least, role=role)
                return await self._put_in_force(request, octets, left)

    async def rollback(
        self, who: str, why: str, number: int, base: int, *, force: bool, role: ConsoleRole
    ) -> PutInForce:
        """Publish the content of version *number* as a new version; raises `OperatorError`."""
        async with self._audited(who, {"act": "rollback", "to": number}):
            each = len(self._versions.documents.document())
            old = await when_large(each, self._versions.publication, number)
            octets = len(old.topology)
            loaded = await when_large(octets, load_published, old, self._folder)
            draft = Draft(loaded, old.topology, old.files)
            why = why or f"back to version {number}"
            left = await self._look_at_users(loaded, role)
            async with self.turn:
                request = PublishRequest(draft, who, why, now_utc(), base, force, AuditAct.ROLLBACK, role=role)
                return await self._put_in_force(request, octets, left)

    async def publish_again(self, why: str) -> PutInForce:
        """Publish the version in force with a new number, signed now; raises `OperatorError`."""
        async with self._audited(self._server.view.name, {"act": "publish", "why": why}), self.turn:
            old = self._versions.publication()
            octets = len(old.topology)
            loaded = await when_large(octets, load_published, old, self._folder)
            draft = Draft(loaded, old.topology, old.files)
            request = PublishRequest(draft, self._server.view.name, why, now_utc(), old.number, role=_NO_ROLE)
            return await self._put_in_force(request, octets)

    async def block(self, who: str, name: str, role: ConsoleRole) -> PutInForce:
        """Publish the version in force with one change: *name* is blocked. Raises `OperatorError`.

        The draft is neither read nor published: a block must not wait for unfinished changes. If *name* is blocked already,
        nothing is published.
        """
        async with self._audited(who, {"act": "block", "name": name}), self.turn:
            version = self._versions.publication()
            octets = len(version.topology)
            draft = await when_large(octets, blocking, version, name, self._folder)
            if draft is None:
                return PutInForce(version.number)
            request = PublishRequest(draft, who, f"{name} is blocked", now_utc(), version.number, role=role)
            return await self._put_in_force(request, octets)

    @asynccontextmanager
    async def _audited(self, who: str, about: Mapping[str, object]) -> AsyncIterator[None]:
        """Record a refused attempt in the audit log."""
        try:
            yield
        except OperatorError as wrong:
            entry = {**about, "refused": wrong.message}
            await when_large(self._weight(0), self._record_refusal, who, entry)
            raise

    async def _look_at_users(self, new: Loaded, role: ConsoleRole) -> Sequence[str]:
        """Look at the user databases if *new* has another one, within `LOOK_S`, outside the turn: a block does not wait.

        Raises `OperatorError`, first if the role of the operator does not allow what *new* grants.
        """
        before = self._server.view.loaded
        if new.users_url == before.users_url:
            return ()
        must_not_grant(before, new, role)
        return await within(LOOK_S, "the look at the user databases", look_at_users, new, before, thread=OPENER)

    async def _overtake(self) -> int:
        """Lead with a number above those that servers report; return the lowest version that all of them accept.

        It waits until the numbers are below the ceiling by our clock: at most a second, since servers have accepted those below.
        """
        statuses, at = [report.status for report in self._reports.reports.values()], now_utc()
        leaders = [status.fencing for status in statuses if not FENCING_NUMBERS.why_beyond(status.fencing, at)]
        reported = [status.number for status in statuses if not VERSIONS.why_beyond(status.number, at)]
        versions = [self._server.view.loaded.number, *reported]
        leader, version = max(leaders, default=0) + 1, max(versions) + 1
        while FENCING_NUMBERS.why_beyond(leader, at) or VERSIONS.why_beyond(version, at):
            await asyncio.sleep(LOOK_EVERY_S)
            at = now_utc()
        await when_large(self._weight(0), self._lead_above, leader - 1)
        return version

    def _lead_above(self, fencing: int) -> None:
        leader, users = self._management_db.lease.overtake(fencing), self._users.overtake()
        self._log.warning("leads with numbers above those that servers have", fencing=leader, users=users)

    def _octets(self, name: str) -> int:
        """Return the size of a draft, 0 if it cannot be read: `_read_draft` says why."""
        with suppress(OSError):
            return (self._folder / name).stat().st_size
        return 0

    def _weight(self, octets: int) -> int:
        """Return octets for `when_large`: a thread waits for a shared database, whose server may not answer."""
        return max(octets, LARGE) if self._management_db.shared is not None else octets

    def _record_refusal(self, who: str, entry: Mapping[str, object]) -> None:
        """Add a line to the audit log. If the log cannot be written, the operator still gets the reason of the refusal."""
        try:
            self._management_db.audit.append(who, AuditAct.REFUSED, entry, at=now_utc())
        except OperatorError as wrong:
            self._log.error("a refused attempt is not in the audit log", by=who, why=str(wrong))

    def _read_draft(self, name: str, digest: str = "") -> Draft:
        """Read the draft in the file *name* of our folder; *digest* is that of the compared draft, or empty."""
        file = self._folder / name
        if Path(name).name != name:
            problem = Problem(file, 0, "", "is not in the folder of topology.yaml", f"copy it to {self._folder}")
            raise OperatorError("this is not a draft of this network", (problem,))
        return read_draft(file, digest)

    def _anchors_in_use(self) -> frozenset[str]:
        """Return the anchors that servers report as used."""
        anchors = set(self._own_status().anchors)
        for report in self._reports.reports.values():
            anchors.update(report.status.anchors)
        return frozenset(anchors)

    def _in_use(self, anchors: frozenset[str]) -> InUse:
        """Return *anchors* with the home pools and domains of users."""
        homes, domains = self._users.places()
        return InUse(anchors, homes, domains)

    async def _put_in_force(self, request: PublishRequest, octets: int, left: Sequence[str] = ()) -> PutInForce:
        """Publish a version of *octets*, put it in force here, send it to every server, and do what has to follow.

        *left* is what was found in the user databases; there is nothing to look at if they stay.
        """
        before, anchors = self._server.view.loaded, self._anchors_in_use()
        octets = self._weight(octets)
        if {before.users_file, request.draft.loaded.users_file} != {before.users_file} or before.users_file is None:
            octets = max(octets, LARGE)  # another database is opened, or one whose server may not answer
        new = await when_large(octets, self._publish, request, before, anchors, left)
        number, who, why = new.version.number, request.who, request.why
        closed = await self._apply(number, octets)
        follow_up(self._folder, self._management_db, before, request.draft.loaded, who, request.at, self._log.error)
        self._log.info("published", version=number, by=who, why=why, changes=new.changes, forced=new.forced)
        return PutInForce(number, new.changes, new.forced, closed, new.granted)

    def _publish(
        self, request: PublishRequest, before: Loaded, anchors: frozenset[str], left: Sequence[str]
    ) -> NewVersion:
        return publish(self._versions, request, self._server.view, before, self._in_use(anchors), left)
