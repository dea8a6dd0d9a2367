"""Publishing: the draft is compared, signed and kept as the next version, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.management.decommission import follow_up
from sipmesh.server.management.document_signing import sign_as
from sipmesh.server.management.emergency_block import blocking
from sipmesh.server.management.publish_checks import from_a_restart, must_open
from sipmesh.server.management.server_reports import ServerReports, now_utc
from sipmesh.server.replication.crl_store import LARGEST_GIVEN, must_be_portable
from sipmesh.server.replication.topology_source import version_of
from sipmesh.storage.audit import AuditAct
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.breaking_changes import dangers
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Draft

DRAFT: Final = "topology.yaml"
"""The file of the draft, where no other one is named."""

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.storage.history import Slot
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


class InForce(Protocol):
    """The server whose topology is published."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""

    def standing(self) -> ServerStatus:
        """What this server says of itself."""


class Places(Protocol):
    """What publishing asks of the users."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """The pools where users are at home, "" for those who were given none, and the domains of their addresses."""


class Publisher:
    """Makes versions; *apply* lives by one that was kept, and gives the ids of the links that it closed."""

    def __init__(
        self,
        server: InForce,
        management_db: ManagementDb,
        users: Places,
        reports: ServerReports,
        apply: Callable[[int], list[str]],
        log: Log,
    ) -> None:
        self._server, self._chronicle, self._users, self._census = server, management_db, users, reports
        self._history, self._audit, self._apply, self._log = management_db.history, management_db.audit, apply, log
        self._folder = server.view.loaded.folder

    def __repr__(self) -> str:
        return f"<Publisher in {self._folder}>"

    def plan(self, name: str = DRAFT) -> dict[str, Any]:
        """What publishing the draft in the file *name* would mean; raises `OperatorError` for a draft with problems."""
        draft = self._read_draft(name)
        return {
            "draft": name,
            "base": self._server.view.loaded.number,
            "digest": draft.loaded.digest,
            "changes": self._changes(draft.loaded),
            "dangers": list(self._dangers(draft.loaded)),
        }

    def publish(self, who: str, why: str, base: int, digest: str, *, force: bool, name: str = DRAFT) -> dict[str, Any]:
        """Sign the draft as the next version and put it in force; raises `OperatorError`, and then nothing has changed.

        *base* and *digest* are those of the plan that the operator has seen, and *name* is the file of that plan.
        """
        with self._audited(who, {"act": "publish", "why": why}):
            draft = self._read_draft(name, digest)
            return self._put_in_force(draft, AuditAct.PUBLISH, who, why, base, force=force)

    def rollback(self, who: str, why: str, number: int, base: int, *, force: bool) -> dict[str, Any]:
        """Publish the content of an old version as a new one; raises `OperatorError`."""
        with self._audited(who, {"act": "rollback", "to": number}):
            old = version_of(self._chronicle, number)
            draft = Draft(load_published(old, self._folder), old.topology, old.files)
            return self._put_in_force(
                draft, AuditAct.ROLLBACK, who, why or f"back to version {number}", base, force=force
            )

    def block(self, who: str, name: str) -> dict[str, Any]:
        """Publish the version in force with one change: *name* is blocked. Raises `OperatorError`.

        What stands in the draft is neither read nor published: a block must not wait for it. Nothing is published where *name*
        is blocked already.
        """
        with self._audited(who, {"act": "block", "name": name}):
            base = self._server.view.loaded.number
            draft = blocking(version_of(self._chronicle, base), name, self._folder)
            if draft is None:
                return {"version": base, "changes": [], "forced": [], "closed": []}
            return self._put_in_force(draft, AuditAct.PUBLISH, who, f"{name} is blocked", base, force=False)

    @contextmanager
    def _audited(self, who: str, about: dict[str, Any]) -> Iterator[None]:
        """A refused attempt is a line in the audit log as well."""
        try:
            yield
        except OperatorError as wrong:
            self._audit.append(who, AuditAct.REFUSED, {**about, "refused": wrong.message}, at=now_utc())
            raise

    def _read_draft(self, name: str, digest: str = "") -> Draft:
        """Read the draft in the file *name* of our folder; *digest* is that of the one that was compared, if it was."""
        file = self._folder / name
        if Path(name).name != name:
            problem = Problem(file, 0, "", "is not in the folder of topology.yaml", f"copy it to {self._folder}")
            raise OperatorError("this is not a draft of this network", (problem,))
        try:
            content = file.read_bytes()
        except OSError as wrong:
            problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "write the draft to this file")
            raise OperatorError("there is no draft to publish", (problem,)) from None
        draft = Draft.read(content, file)
        if digest and draft.loaded.digest != digest:
            raise OperatorError(f"{file} has changed since it was compared; check it again, then publish")
        return draft

    def _changes(self, new: Loaded) -> list[str]:
        """What *new* changes, and what of that counts from a restart only."""
        in_force = self._server.view.loaded
        return [*difference(in_force, new), *from_a_restart(in_force, new)]

    def _dangers(self, new: Loaded) -> Sequence[str]:
        """What *new* would break, by what servers have said of their links, and where users are at home."""
        in_force = self._server.view.loaded
        in_use = set(self._server.standing().anchors)
        for report in self._census.reports.values():
            in_use.update(report.status.anchors)
        homes, domains = self._users.places()
        found = {home or home_by_default(in_force.topology) for home in homes}
        return dangers(in_force, new, in_use=in_use, domains=domains, homes=found)

    def _put_in_force(
        self, draft: Draft, act: AuditAct, who: str, why: str, base: int, *, force: bool
    ) -> dict[str, Any]:
        """Sign, store and apply a version, and give it to everybody: one transaction, then what follows from it."""
        must_be_portable(draft.loaded)
        must_open(draft.loaded, self._server.view.loaded)
        found = list(self._dangers(draft.loaded))
        if found and not force:
            told = "; ".join(found)
            raise OperatorError(
                f"not published, because the change breaks something: {told}; to publish it anyway, add --force"
            )
        changes = self._changes(draft.loaded)
        at = now_utc()

        def make(slot: Slot) -> bytes:
            made = draft.compiled(
                slot.number, who, why, at=at, forced=bool(found), previous=slot.previous, audit=slot.audit
            )
            signed = sign_as(self._server.view, made.encode(), KIND, at)
            if len(signed) > LARGEST_GIVEN:
                raise OperatorError(f"the publication has {len(signed)} octets; servers accept at most {LARGEST_GIVEN}")
            return signed

        version = self._history.publish(base, make, who, why, at=at, dangers=found, act=act)
        before = self._server.view.loaded
        closed = self._apply(version.number)
        follow_up(self._folder, self._audit, before, draft.loaded, who, at, self._log.error)
        self._log.info("published", version=version.number, by=who, why=why, changes=changes, forced=found)
        return {"version": version.number, "changes": changes, "forced": found, "closed": closed}
