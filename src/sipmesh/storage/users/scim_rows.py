"""The users and groups of SCIM clients, inside a use of the user database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.storage.users.scim_resource import ScimKind, ScimResource
from sipmesh.storage.users.user_rows import rows_of

if TYPE_CHECKING:
    from sipmesh.storage.users import scim_tables
else:
    scim_tables = LazyModule("sipmesh.storage.users.scim_tables")

AT_ONCE: Final = 500
"""Values of one statement."""


def resource_of(db: sql.Connection, kind: ScimKind, resource_id: str) -> ScimResource | None:
    """Return the user or group with an id, None if there is none."""
    table = scim_tables.RESOURCES
    found = resources_in(db, [table.c.kind == kind, table.c.id == resource_id])
    return found[0] if found else None


def resources_in(
    db: sql.Connection, where: Collection[sql.ColumnElement[bool]], first: int = 0, most: int | None = None
) -> list[ScimResource]:
    """Return those for which each of *where* holds, in the order of their ids: *most* of them, from the number *first* on."""
    table = scim_tables.RESOURCES
    query = sql.select(table).where(*where).order_by(table.c.id).offset(first).limit(most)
    return [ScimResource(**{**row, "kind": ScimKind(row["kind"])}) for row in rows_of(db, query)]


def count_in(db: sql.Connection, where: Collection[sql.ColumnElement[bool]]) -> int:
    """Return for how many each of *where* holds."""
    query = sql.select(sql.func.count()).select_from(scim_tables.RESOURCES).where(*where)
    return int(db.execute(query).scalar_one())


def put_resource(db: sql.Connection, resource: ScimResource) -> None:
    """Store a resource in place of the one with the same id."""
    table = scim_tables.RESOURCES
    db.execute(table.delete().where(table.c.id == resource.id))
    db.execute(table.insert().values(asdict(resource)))


def remove_resource(db: sql.Connection, resource_id: str) -> None:
    """Remove a resource, from each group too, and the members of a group."""
    members, resources = scim_tables.MEMBERS, scim_tables.RESOURCES
    db.execute(members.delete().where((members.c.group_id == resource_id) | (members.c.member_id == resource_id)))
    db.execute(resources.delete().where(resources.c.id == resource_id))


def members_of(db: sql.Connection, group_id: str) -> list[str]:
    """Return the direct members of a group, in the order of their ids."""
    table = scim_tables.MEMBERS
    query = sql.select(table.c.member_id).where(table.c.group_id == group_id).order_by(table.c.member_id)
    return list(db.execute(query).scalars())


def change_members(db: sql.Connection, group_id: str, adds: Collection[str], drops: Collection[str]) -> None:
    """Change the direct members of a group."""
    table = scim_tables.MEMBERS
    for some in _parts(drops):
        db.execute(table.delete().where(table.c.group_id == group_id, table.c.member_id.in_(some)))
    if adds:
        db.execute(table.insert(), [{"group_id": group_id, "member_id": member} for member in sorted(adds)])


def known_of(db: sql.Connection, ids: Collection[str]) -> Mapping[str, ScimKind]:
    """Return which of *ids* there are, and what each of them is."""
    table = scim_tables.RESOURCES
    return {
        row["id"]: ScimKind(row["kind"])
        for some in _parts(ids)
        for row in rows_of(db, sql.select(table.c.id, table.c.kind).where(table.c.id.in_(some)))
    }


def groups_above(db: sql.Connection, ids: Collection[str]) -> frozenset[str]:
    """Return the groups that have one of *ids* as a member, also through other groups; each group is looked at once."""
    return _closure(db, ids, scim_tables.MEMBERS.c.member_id, scim_tables.MEMBERS.c.group_id)


def members_below(db: sql.Connection, ids: Collection[str]) -> frozenset[str]:
    """Return the members of *ids*, also those of groups in them; each group is looked at once."""
    return _closure(db, ids, scim_tables.MEMBERS.c.group_id, scim_tables.MEMBERS.c.member_id)


def _closure(
    db: sql.Connection, ids: Collection[str], known: sql.ColumnElement[Any], wanted: sql.ColumnElement[Any]
) -> frozenset[str]:
    found: set[str] = set()
    waiting: Collection[str] = ids
    while waiting:
        new = {
            one for some in _parts(waiting) for one in db.execute(sql.select(wanted).where(known.in_(some))).scalars()
        }
        waiting = new - found
        found |= new
    return frozenset(found)


def names_of_groups(db: sql.Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Return the external id of each of the groups *ids*, by id."""
    table = scim_tables.RESOURCES
    query = sql.select(table.c.id, table.c.external_id)
    return {
        row["id"]: row["external_id"] for some in _parts(ids) for row in rows_of(db, query.where(table.c.id.in_(some)))
    }


def _parts(values: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    yield from (ordered[first : first + AT_ONCE] for first in range(0, len(ordered), AT_ONCE))
