"""Publishing on a running management server: a draft is compared, published and put in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.clock import now_utc
from sipmesh.server.management.publishing.decommission import follow_up
from sipmesh.server.management.publishing.emergency_block import blocking
from sipmesh.server.management.publishing.publish import (
    InUse,
    PublishRequest,
    breaks,
    changes_between,
    publish,
    read_draft,
)
from sipmesh.server.replication.topology_source import version_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft

DRAFT: Final = "topology.yaml"
"""The file name of the draft, unless another one is given."""

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.management.server_reports import ServerReports
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


class InForce(Protocol):
    """The server whose topology is in force."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""


class Places(Protocol):
    """What publishing needs to know of the users."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the home pools of users ("" for users without one), and the domains of their addresses."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What publishing the file *draft* would change: *base* is the version in force, *digest* identifies the draft."""

    draft: str
    base: int
    digest: str
    changes: Sequence[str]
    dangers: Sequence[str]


@dataclass(frozen=True, slots=True)
class PutInForce:
    """A published *version* that is in force here: *closed* are the ids of the links that it closed."""

    version: int
    changes: Sequence[str] = ()
    forced: Sequence[str] = ()
    closed: Sequence[str] = ()


class Publisher:
    """Makes versions; *apply* puts a stored version in force, and returns the ids of the links that it closed.

    *own_status* returns the status of this server.
    """

    def __init__(
        self,
        server: InForce,
        own_status: Callable[[], ServerStatus],
        management_db: ManagementDb,
        users: Places,
        reports: ServerReports,
        apply: Callable[[int], list[str]],
        log: Log,
    ) -> None:
        self._server, self._own_status, self._management_db = server, own_status, management_db
        self._users, self._reports, self._apply, self._log = users, reports, apply, log
        self._folder = server.view.loaded.folder

    def __repr__(self) -> str:
        return f"<Publisher in {self._folder}>"

    def plan(self, name: str = DRAFT) -> Plan:
        """Return what publishing the file *name* would change; raises `OperatorError` for a draft with problems."""
        new, in_force = self._read_draft(name).loaded, self._server.view.loaded
        found = breaks(in_force, new, self._in_use())
        return Plan(name, in_force.number, new.digest, changes_between(in_force, new), found)

    def publish(self, who: str, why: str, base: int, digest: str, *, force: bool, name: str = DRAFT) -> PutInForce:
        """Sign the draft as the next version and put it in force; if this raises `OperatorError`, nothing has changed.

        *base* and *digest* are from the plan that the operator has seen; *name* is the file of that plan.
        """
        with self._audited(who, {"act": "publish", "why": why}):
            draft = self._read_draft(name, digest)
            return self._put_in_force(PublishRequest(draft, who, why, now_utc(), base, force))

    def rollback(self, who: str, why: str, number: int, base: int, *, force: bool) -> PutInForce:
        """Publish the content of version *number* as a new version; raises `OperatorError`."""
        with self._audited(who, {"act": "rollback", "to": number}):
            old = version_of(self._management_db, number)
            draft = Draft(load_published(old, self._folder), old.topology, old.files)
            why = why or f"back to version {number}"
            return self._put_in_force(PublishRequest(draft, who, why, now_utc(), base, force, AuditAct.ROLLBACK))

    def block(self, who: str, name: str) -> PutInForce:
        """Publish the version in force with one change: *name* is blocked. Raises `OperatorError`.

        The draft is neither read nor published: a block must not wait for unfinished changes. If *name* is blocked already,
        nothing is published.
        """
        with self._audited(who, {"act": "block", "name": name}):
            base = self._server.view.loaded.number
            draft = blocking(version_of(self._management_db, base), name, self._folder)
            if draft is None:
                return PutInForce(base)
            return self._put_in_force(PublishRequest(draft, who, f"{name} is blocked", now_utc(), base))

    @contextmanager
    def _audited(self, who: str, about: Mapping[str, object]) -> Iterator[None]:
        """Record a refused attempt in the audit log."""
        try:
            yield
        except OperatorError as wrong:
            self._record_refusal(who, {**about, "refused": wrong.message})
            raise

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
        draft = read_draft(file)
        if digest and draft.loaded.digest != digest:
            raise OperatorError(f"{file} has changed since it was compared; check it again, then publish")
        return draft

    def _in_use(self) -> InUse:
        """Return the anchors that servers report as used, and the home pools and domains of users."""
        anchors = set(self._own_status().anchors)
        for report in self._reports.reports.values():
            anchors.update(report.status.anchors)
        homes, domains = self._users.places()
        return InUse(frozenset(anchors), homes, domains)

    def _put_in_force(self, request: PublishRequest) -> PutInForce:
        """Publish a version, put it in force here, send it to every server, and do what has to follow."""
        before: Loaded = self._server.view.loaded
        new = publish(self._management_db, request, self._server.view, before, self._in_use())
        number, who, why = new.version.number, request.who, request.why
        closed = self._apply(number)
        audit, after = self._management_db.audit, request.draft.loaded
        follow_up(self._folder, audit, before, after, who, request.at, self._log.error)
        self._log.info("published", version=number, by=who, why=why, changes=new.changes, forced=new.forced)
        return PutInForce(number, new.changes, new.forced, closed)
