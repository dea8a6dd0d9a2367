"""The users and groups of SCIM clients: each change becomes the same steps as a change of a directory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from scim2_models import (
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    UniquenessException,
)

from sipmesh.database.lazy_module import sql
from sipmesh.server.directory.entry_sync import EntryConflictError
from sipmesh.server.directory.group_rules import group_rules
from sipmesh.server.directory.sync import AT_ONCE
from sipmesh.server.scim.resources import Group, User, created, ids_of_members, patched, replaced
from sipmesh.server.scim.scim_filter import conditions, spellings
from sipmesh.server.scim.scim_store import GroupsHere, add_members, entry_in, etag, resource_of, row_of
from sipmesh.storage.users import directory_tables, scim_tables
from sipmesh.storage.users.scim_resource import ScimKind, ScimResource
from sipmesh.storage.users.scim_rows import (
    change_members,
    count_in,
    known_of,
    members_below,
    members_of,
    put_resource,
    remove_resource,
    resources_in,
)
from sipmesh.storage.users.scim_rows import resource_of as row_in

if TYPE_CHECKING:
    from sipmesh.server.directory.sync import DirectorySync
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded

MOST_MEMBERS: Final = 50_000
"""Direct members of one group."""

MOST_TOLD: Final = 20
"""Members in one line of the audit log."""


@dataclass(frozen=True, slots=True)
class Page:
    """*total* resources fit, and *resources* are those of the page."""

    total: int
    resources: Sequence[Resource[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks: *base* is the URL of this server, *if_match* the entity tag that the resource must have, "" for any."""

    at: datetime
    base: str
    if_match: str = ""
    accept_loss: bool = False


class ScimDirectory:
    """What SCIM clients do with the *users* of *loaded*; *sync* takes the steps.

    Methods raise `SCIMException` and `ValidationError` for the client, and `OperatorError`.
    """

    def __init__(self, loaded: Loaded, users: Users, sync: DirectorySync) -> None:
        self._topology, self._users, self._sync = loaded.topology, users, sync

    def page(self, kinds: Sequence[ScimKind], text: str, first: int, most: int, asked: Asked, *, members: bool) -> Page:
        """Return those that the filter *text* selects: *most* of them, from the number *first* on, which begins with 0."""
        where = conditions(kinds, text, self._topology.sip_domains)
        with self._users.reading() as db:
            found = [resource_of(row, asked.base) for row in resources_in(db, where, first, most)]
            for one in found if members else ():
                if isinstance(one, Group):
                    add_members(db, one, asked.base)
            return Page(count_in(db, where), found)

    def get(self, kind: ScimKind, resource_id: str, asked: Asked) -> Resource[Any]:
        """Return one user or group."""
        with self._users.reading() as db:
            return self._shown(db, self._row(db, kind, resource_id), asked)

    def create(self, kind: ScimKind, given: object, asked: Asked) -> Resource[Any]:
        """Add a user or a group."""
        return self._written(kind, created(kind, given), None, asked)

    def replace(self, kind: ScimKind, resource_id: str, given: object, asked: Asked) -> Resource[Any]:
        """Replace a user or a group."""
        row, before = self._present(kind, resource_id, asked)
        return self._written(kind, replaced(kind, given, before), row, asked)

    def patch(self, kind: ScimKind, resource_id: str, given: Mapping[str, Any], asked: Asked) -> Resource[Any]:
        """Change some attributes of a user or a group."""
        row, before = self._present(kind, resource_id, asked)
        return self._written(kind, patched(kind, given, before), row, asked)

    def delete(self, kind: ScimKind, resource_id: str, asked: Asked) -> None:
        """Remove a user, who is disabled here, or a group."""
        row, _ = self._present(kind, resource_id, asked)
        if kind is ScimKind.USER:
            self._sync.change_entry(
                row.id, None, asked.at, lambda db: remove_resource(db, row.id), accept_loss=asked.accept_loss
            )
            return
        with self._users.locked() as db:
            below, decides = members_below(db, [row.id]), self._decide(db, [row.id])
            remove_resource(db, row.id)
        self._note(row, "remove", asked.at)
        self._follow(below if decides else (), asked)

    def _row(self, db: sql.Connection, kind: ScimKind, resource_id: str) -> ScimResource:
        found = row_in(db, kind, resource_id)
        if found is None:
            raise NotFoundException(detail=f"there is no {kind} with this id")
        return found

    def _shown(self, db: sql.Connection, row: ScimResource, asked: Asked) -> Resource[Any]:
        found = resource_of(row, asked.base)
        if isinstance(found, Group):
            add_members(db, found, asked.base)
        return found

    def _present(self, kind: ScimKind, resource_id: str, asked: Asked) -> tuple[ScimResource, Resource[Any]]:
        with self._users.reading() as db:
            row = self._row(db, kind, resource_id)
            if asked.if_match not in {"", "*", etag(row), etag(row).removeprefix("W/")}:
                raise PreconditionFailedException(detail="the resource was changed meanwhile: read it again")
            return row, self._shown(db, row, asked)

    def _written(
        self, kind: ScimKind, resource: Resource[Any], before: ScimResource | None, asked: Asked
    ) -> Resource[Any]:
        with self._users.reading() as db:
            row = row_of(kind, resource, before, self._earlier_id(db, kind, resource), asked.at)
            self._must_be_unique(db, row)
        if isinstance(resource, User):
            self._write_user(resource, row, asked)
        elif isinstance(resource, Group):
            self._write_group(ids_of_members(resource), row, asked)
        return self.get(kind, row.id, asked)

    def _must_be_unique(self, db: sql.Connection, row: ScimResource) -> None:
        """Refuse the userName and the externalId of another user (RFC 7644 section 3.12); two groups may have one name."""
        table, domains = scim_tables.RESOURCES.c, self._topology.sip_domains
        others = [table.kind == str(row.kind), table.id != row.id]
        if row.kind is ScimKind.USER and count_in(db, [*others, table.name.in_(spellings(row.name, domains))]):
            raise UniquenessException(detail=f"another user has the userName {row.name}, and keeps it")
        if row.external_id and count_in(db, [*others, table.external_id == row.external_id]):
            raise UniquenessException(detail=f"another {row.kind} has the externalId {row.external_id}, and keeps it")

    def _earlier_id(self, db: sql.Connection, kind: ScimKind, resource: Resource[Any]) -> str:
        """Return the id of a removed user with the same externalId, who is the same person, or a new id."""
        links = directory_tables.LINKS.c
        found = None
        if kind is ScimKind.USER and resource.external_id:
            found = db.execute(sql.select(links.id).where(links.dn == resource.external_id)).scalar()
        return str(found) if found and row_in(db, kind, str(found)) is None else str(uuid4())

    def _write_user(self, user: User, row: ScimResource, asked: Asked) -> None:
        user.id = row.id
        with self._users.reading() as db:
            try:
                entry, _ = entry_in(db, user, self._topology)
            except ValueError as wrong:
                raise InvalidValueException(detail=str(wrong)) from None
        try:
            self._sync.change_entry(
                row.id, entry, asked.at, lambda db: put_resource(db, row), accept_loss=asked.accept_loss
            )
        except EntryConflictError as conflict:
            raise UniquenessException(detail=conflict.message) from None

    def _write_group(self, members: frozenset[str], row: ScimResource, asked: Asked) -> None:
        if len(members) > MOST_MEMBERS:
            raise InvalidValueException(detail=f"a group has {MOST_MEMBERS:,} members at most")
        with self._users.locked() as db:
            was, before = row_in(db, ScimKind.GROUP, row.id), frozenset(members_of(db, row.id))
            adds, drops = members - before, before - members
            if unknown := adds - known_of(db, adds).keys():
                raise InvalidValueException(detail=f"there is no user and no group with the id {min(unknown)}")
            decided = self._decide(db, [row.id])
            put_resource(db, row)
            change_members(db, row.id, adds, drops)
            is_other = was is not None and was.external_id != row.external_id
            changed = {*adds, *drops, *(members if is_other else ())}
            affected = changed | members_below(db, changed) if decided or self._decide(db, [row.id]) else set[str]()
        about = {"with": sorted(adds)[:MOST_TOLD], "without": sorted(drops)[:MOST_TOLD]}
        self._note(row, "change", asked.at, **about)
        self._follow(affected, asked)

    def _decide(self, db: sql.Connection, groups: Sequence[str]) -> bool:
        return GroupsHere(db, group_rules(self._topology)).decide(groups)

    def _follow(self, affected: Collection[str], asked: Asked) -> None:
        """Give users what their groups give now. A user with a conflict keeps what there was, as in each sync."""
        if len(affected) > AT_ONCE:
            self._sync.take(self._sync.look(asked.at), asked.at, accept_loss=asked.accept_loss)
            return
        for member in sorted(affected):
            with self._users.reading() as db:
                row = row_in(db, ScimKind.USER, member)
                user = resource_of(row) if row is not None else None
                found = entry_in(db, user, self._topology)[0] if isinstance(user, User) else None
            if found is not None:
                with suppress(EntryConflictError):
                    self._sync.change_entry(member, found, asked.at, _nothing, accept_loss=asked.accept_loss)

    def _note(self, group: ScimResource, what: str, at: datetime, **about: Sequence[str]) -> None:
        told = {key: value for key, value in about.items() if value}
        self._sync.note({"group": group.id, "name": group.name, "directory": what, **told}, at)


def _nothing(_db: sql.Connection) -> None:
    """Store nothing: the entry has not changed."""
