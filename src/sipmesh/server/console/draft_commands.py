"""The operations on the draft: the console changes it by the same functions as `sipmesh topology add`, `change` and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.server.console.commands import noting
from sipmesh.server.console.operations import (
    ADD_DOMAIN,
    ADD_POOL,
    ADD_SERVER,
    ADD_SITE,
    CHANGE,
    REMOVE,
    RENAME,
)
from sipmesh.server.console.operator_turns import OperatorTurns
from sipmesh.server.console.planned import must_be_as_planned, planned_digest
from sipmesh.server.console.replies import DraftReply
from sipmesh.server.control_socket import WHO
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.server.process.off_loop import later
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.builder import additions, assignments, removal, renaming
from sipmesh.topology.builder.additions import NewPool, NewServer
from sipmesh.topology.builder.assignments import Assignment
from sipmesh.topology.builder.outline import Kind
from sipmesh.topology.document import yaml_edit
from sipmesh.topology.document.changes import edit_text
from sipmesh.topology.document.names import is_url
from sipmesh.topology.versions.difference import difference
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.control_socket import Command
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.changes import Edit
    from sipmesh.topology.document.load import Loaded

Asked = Mapping[str, Any]
Change = Callable[[str, Asked, Path], str]
"""Returns the text of a draft after the change that was asked for."""

PARTS_OF_POOL: Final = frozenset(part.name for part in fields(NewPool))


class DraftCommands:
    """The operations on the draft of *node*'s network; each change is a line in the audit log of *management_db*."""

    def __init__(self, node: RunningServer, management_db: ManagementDb) -> None:
        self._node, self._management_db = node, management_db
        self.file = node.view.loaded.folder / DRAFT
        self._turns = OperatorTurns()

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {name: self._changing(name, change) for name, change in CHANGES.items()}

    def _changing(self, name: str, change: Change) -> Command:
        async def changed(asked: Asked) -> DraftReply:
            in_force = self.in_force

            def made_of(text: str) -> str:
                must_be_as_planned(name, asked, in_force.number, text)
                return change(text, asked, self.file)

            made = await self.edit(name, asked, made_of)
            changes = await later(difference, in_force, made.loaded)
            written = made.after != made.before and not asked["dry_run"]
            planned = planned_digest(name, asked, in_force.number, made.before)
            return DraftReply(written, made.diff, in_force.number, changes, planned)

        return changed

    @property
    def in_force(self) -> Loaded:
        """The topology in force."""
        return self._node.view.loaded

    async def edit(self, name: str, asked: Asked, change: Callable[[str], str]) -> Edit:
        """Change the draft, and write the audit log; raises `OperatorError` as the commands do, and then nothing has changed."""
        async with self._turns.with_rest(str(asked[WHO])):
            return await later(self._edit, name, asked, change)

    def _edit(self, name: str, asked: Asked, change: Callable[[str], str]) -> Edit:
        self._management_db.lease.must_lead()  # the draft is on the host of the leader
        with yaml_edit.at_most(MOST_READ):
            made = edit_text(self.file, change, dry_run=bool(asked["dry_run"]))
        if made.after != made.before and not asked["dry_run"]:
            noting(self._management_db, str(asked[WHO]))(AuditAct.DRAFT, change=name, lines=_changed_lines(made))
        return made

    async def take_back(self, made: Edit, asked: Asked) -> None:
        """Restore the draft from before *made*, unless it has changed again meanwhile."""
        await self.edit("take-back", asked, lambda text: made.before if text == made.after else text)


def _changed_lines(made: Edit) -> list[str]:
    """Return the first lines of the draft that were added or removed."""
    changed = [line for line in made.diff if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"}]
    return changed[:MOST_LINES]


MOST_READ: Final = 128 << 10
"""Octets that the edits of one request may read. Python's YAML reader takes a few seconds for so many."""

MOST_LINES: Final = 50
"""Lines of a changed draft in one line of the audit log."""


def read_changes(asked: Asked) -> list[Assignment]:
    """Read the assignments; raises `OperatorError` for a value that names a file outside of the folder of the topology."""
    read = [Assignment.read(str(text)) for text in asked["changes"]]
    for one in read:
        for text in _texts(one.value):
            if not is_url(text) and (text.startswith(("/", "~")) or ".." in Path(text).parts):
                remedy = "copy the file below the folder of the topology"
                raise OperatorError(f"{text!r} is a file elsewhere on the management host; {remedy}")
    return read


def _texts(value: object) -> Iterator[str]:
    """Yield each text in a plain value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


def _add_pool(text: str, asked: Asked, file: Path) -> str:
    servers = [NewServer(**server) for server in asked["servers"]]
    given = {key: asked[key] for key in PARTS_OF_POOL & asked.keys()}
    return additions.add_pool(text, NewPool(**{**given, "role": Role(asked["role"]), "servers": servers}), file)


def _add_server(text: str, asked: Asked, file: Path) -> str:
    parts = {key: asked[key] for key in ("name", "pool", "address", "outside", "site", "machine")}
    return additions.add_server(text, NewServer(**parts), file)


def _add_domain(text: str, asked: Asked, file: Path) -> str:
    return additions.add_domain(text, asked["name"], file)


def _add_site(text: str, asked: Asked, file: Path) -> str:
    return additions.add_site(text, asked["name"], file)


def _change(text: str, asked: Asked, file: Path) -> str:
    return assignments.change(text, asked["name"], read_changes(asked), file)


def _remove(text: str, asked: Asked, file: Path) -> str:
    return removal.remove(text, asked["name"], file, Kind(asked["kind"]) if asked["kind"] else None)


def _rename(text: str, asked: Asked, file: Path) -> str:
    return renaming.rename(text, asked["name"], asked["new"], file)


CHANGES: Final[Mapping[str, Change]] = {
    ADD_POOL: _add_pool,
    ADD_SERVER: _add_server,
    ADD_DOMAIN: _add_domain,
    ADD_SITE: _add_site,
    CHANGE: _change,
    REMOVE: _remove,
    RENAME: _rename,
}
