"""Publishing on a running management server: what the operator asks for is compared, published and put in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
from sipmesh.server.management.replies import Plan, PutInForce
from sipmesh.server.replication.topology_source import version_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft

DRAFT: Final = "topology.yaml"
"""The file of the draft, where no other one is named."""

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.management.server_reports import ServerReports
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


class InForce(Protocol):
    """The server whose topology is published."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""


class Places(Protocol):
    """What publishing asks of the users."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """The pools where users are at home, "" for those who were given none, and the domains of their addresses."""


class Publisher:
    """Makes versions; *apply* lives by one that was kept, and gives the ids of the links that it closed.

    *own_status* is what this server says of itself.
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
        """What publishing the draft in the file *name* would mean; raises `OperatorError` for a draft with problems."""
        new, in_force = self._read_draft(name).loaded, self._server.view.loaded
        found = breaks(in_force, new, self._in_use())
        return Plan(name, in_force.number, new.digest, changes_between(in_force, new), found)

    def publish(self, who: str, why: str, base: int, digest: str, *, force: bool, name: str = DRAFT) -> PutInForce:
        """Sign the draft as the next version and put it in force; raises `OperatorError`, and then nothing has changed.

        *base* and *digest* are those of the plan that the operator has seen, and *name* is the file of that plan.
        """
        with self._audited(who, {"act": "publish", "why": why}):
            draft = self._read_draft(name, digest)
            return self._put_in_force(PublishRequest(draft, who, why, now_utc(), base, force))

    def rollback(self, who: str, why: str, number: int, base: int, *, force: bool) -> PutInForce:
        """Publish the content of an old version as a new one; raises `OperatorError`."""
        with self._audited(who, {"act": "rollback", "to": number}):
            old = version_of(self._management_db, number)
            draft = Draft(load_published(old, self._folder), old.topology, old.files)
            why = why or f"back to version {number}"
            return self._put_in_force(PublishRequest(draft, who, why, now_utc(), base, force, AuditAct.ROLLBACK))

    def block(self, who: str, name: str) -> PutInForce:
        """Publish the version in force with one change: *name* is blocked. Raises `OperatorError`.

        What stands in the draft is neither read nor published: a block must not wait for it. Nothing is published where *name*
        is blocked already.
        """
        with self._audited(who, {"act": "block", "name": name}):
            base = self._server.view.loaded.number
            draft = blocking(version_of(self._management_db, base), name, self._folder)
            if draft is None:
                return PutInForce(base)
            return self._put_in_force(PublishRequest(draft, who, f"{name} is blocked", now_utc(), base))

    @contextmanager
    def _audited(self, who: str, about: Mapping[str, object]) -> Iterator[None]:
        """A refused attempt is a line in the audit log as well."""
        try:
            yield
        except OperatorError as wrong:
            told = {**about, "refused": wrong.message}
            self._management_db.audit.append(who, AuditAct.REFUSED, told, at=now_utc())
            raise

    def _read_draft(self, name: str, digest: str = "") -> Draft:
        """Read the draft in the file *name* of our folder; *digest* is that of the one that was compared, if it was."""
        file = self._folder / name
        if Path(name).name != name:
            problem = Problem(file, 0, "", "is not in the folder of topology.yaml", f"copy it to {self._folder}")
            raise OperatorError("this is not a draft of this network", (problem,))
        draft = read_draft(file)
        if digest and draft.loaded.digest != digest:
            raise OperatorError(f"{file} has changed since it was compared; check it again, then publish")
        return draft

    def _in_use(self) -> InUse:
        """What servers have said of their links, and where users are at home."""
        anchors = set(self._own_status().anchors)
        for report in self._reports.reports.values():
            anchors.update(report.status.anchors)
        homes, domains = self._users.places()
        return InUse(frozenset(anchors), homes, domains)

    def _put_in_force(self, request: PublishRequest) -> PutInForce:
        """Publish, live by the new version, give it to every server, and do what follows from it."""
        before: Loaded = self._server.view.loaded
        new = publish(self._management_db, request, self._server.view, before, self._in_use())
        number, who, why = new.version.number, request.who, request.why
        closed = self._apply(number)
        audit, after = self._management_db.audit, request.draft.loaded
        follow_up(self._folder, audit, before, after, who, request.at, self._log.error)
        self._log.info("published", version=number, by=who, why=why, changes=new.changes, forced=new.forced)
        return PutInForce(number, new.changes, new.forced, closed)
