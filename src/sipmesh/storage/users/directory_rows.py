"""The links of users to entries of a directory, inside a change of the user database."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.storage.users.directory_entry import DirectoryLink
from sipmesh.storage.users.user_rows import rows_of
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sipmesh.storage.users import directory_tables, scim_tables
else:
    scim_tables = LazyModule("sipmesh.storage.users.scim_tables")
    directory_tables = LazyModule("sipmesh.storage.users.directory_tables")


def links_in(db: sql.Connection, ids: Collection[str] | None = None) -> dict[str, DirectoryLink]:
    """Return the links by the id of their entry, all or those of *ids*."""
    where = [] if ids is None else [directory_tables.LINKS.c.id.in_(ids)]
    return {link.id: link for link in _links(db, *where)}


def links_to_revoke(db: sql.Connection) -> list[DirectoryLink]:
    """Return the links of users whose device certificates are still to be revoked."""
    return _links(db, directory_tables.LINKS.c.to_revoke != "")


def link_of(db: sql.Connection, aor: str) -> DirectoryLink | None:
    """Return the link of a user, None for a user who comes from no directory."""
    found = _links(db, directory_tables.LINKS.c.aor == aor)
    return found[0] if found else None


def _links(db: sql.Connection, *where: sql.ColumnElement[bool]) -> list[DirectoryLink]:
    table, classes = directory_tables.LINKS, scim_tables.CLASSES
    query = sql.select(table, classes.c.classes).outerjoin(classes, classes.c.id == table.c.id).where(*where)
    return [_link(row) for row in rows_of(db, query)]


def _link(row: Mapping[str, Any]) -> DirectoryLink:
    names = {column: tuple(str(row[column] or "").split()) for column in ("to_revoke", "classes")}
    return DirectoryLink(**{**row, "aliases": _names(row["aliases"]), **names})


def _names(text: object) -> tuple[str, ...]:
    """Read the aliases; a client that can write to the database can write any value."""
    try:
        found = read_json(str(text))
    except ValueError:
        return ()
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()


def put_links(db: sql.Connection, links: Sequence[DirectoryLink]) -> None:
    """Store each link in place of the one with the same id, and of that of the same user."""
    table, classes = directory_tables.LINKS, scim_tables.CLASSES
    same = table.c.id.in_([link.id for link in links]) | table.c.aor.in_([link.aor for link in links])
    db.execute(classes.delete().where(classes.c.id.in_(sql.select(table.c.id).where(same))))
    db.execute(table.delete().where(same))
    db.execute(table.insert(), [_row(link) for link in links])
    if given := [{"id": link.id, "classes": " ".join(link.classes)} for link in links if link.classes]:
        db.execute(classes.insert(), given)


def _row(link: DirectoryLink) -> dict[str, Any]:
    row = {**asdict(link), "aliases": json.dumps(link.aliases), "to_revoke": " ".join(link.to_revoke)}
    del row["classes"]
    return row


def remove_link(db: sql.Connection, aor: str) -> None:
    """Forget from which entry a user comes."""
    table, classes = directory_tables.LINKS, scim_tables.CLASSES
    db.execute(classes.delete().where(classes.c.id.in_(sql.select(table.c.id).where(table.c.aor == aor))))
    db.execute(table.delete().where(table.c.aor == aor))
