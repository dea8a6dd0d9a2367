"""A part of the user database in an order that people ask for: the console and the API show it a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from sipmesh.sip.text import ascii_lower
from sipmesh.storage.users import user_tables as tables
from sipmesh.storage.users.call_rule_rows import call_rules_in
from sipmesh.storage.users.user_rows import alias_index, rows_of, user_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.storage.users.user import User


class UserSort(StrEnum):
    """What users are sorted by; users who are equal in it, by their addresses."""

    USER = "user"
    POOL = "pool"
    CREATED = "created"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class UsersWanted:
    """At most *most* users above the address *after*, with *find* in their address or an alias; the first *skip* are left out."""

    most: int
    after: str = ""
    find: str = ""
    sort: UserSort = UserSort.USER
    descending: bool = False
    skip: int = 0


@dataclass(frozen=True, slots=True)
class UserPage:
    """The *users* of one page, of *found* that were asked for, and of *total* in all."""

    users: Sequence[User]
    found: int
    total: int


def read_page(db: sql.Connection, wanted: UsersWanted) -> UserPage:
    """Read one page."""
    asked = _asked(wanted)
    ordered = sql.select(tables.USERS).where(*asked).order_by(*_order(wanted))
    rows = rows_of(db, ordered.offset(wanted.skip).limit(wanted.most))
    names = [row["aor"] for row in rows]
    aliases = alias_index(db, sql.select(tables.ALIASES).where(tables.ALIASES.c.aor.in_(names)))
    since = rows_of(db, sql.select(tables.DISABLED).where(tables.DISABLED.c.aor.in_(names)))
    ends = {row["aor"]: row["since"] for row in since}
    found = ((row["aor"], row) for row in rows)
    users = [user_from(row, aliases.of(aor), disabled=ends.get(aor), calls=call_rules_in(row)) for aor, row in found]
    total = _count(db, ())
    return UserPage(users, _count(db, asked) if wanted.find else total, total)


def _asked(wanted: UsersWanted) -> Sequence[sql.ColumnElement[bool]]:
    after = [tables.USERS.c.aor > wanted.after] if wanted.after else []
    if not wanted.find:
        return after
    find = ascii_lower(wanted.find)
    of_alias = sql.select(tables.ALIASES.c.aor).where(
        sql.func.lower(tables.ALIASES.c.alias).contains(find, autoescape=True)
    )
    by_name = sql.func.lower(tables.USERS.c.aor).contains(find, autoescape=True)
    return [*after, sql.or_(by_name, tables.USERS.c.aor.in_(of_alias))]


def _order(wanted: UsersWanted) -> Sequence[sql.ColumnElement[Any]]:
    name = tables.USERS.c.aor
    first: dict[UserSort, sql.ColumnElement[Any]] = {
        UserSort.USER: name,
        UserSort.POOL: sql.func.coalesce(tables.USERS.c.pool, ""),
        UserSort.CREATED: tables.USERS.c.created,
        UserSort.DISABLED: sql.case((name.in_(sql.select(tables.DISABLED.c.aor)), 0), else_=1),
    }
    column = first[wanted.sort]
    return [column.desc() if wanted.descending else column, name]


def _count(db: sql.Connection, asked: Sequence[sql.ColumnElement[bool]]) -> int:
    return int(db.execute(sql.select(sql.func.count()).select_from(tables.USERS).where(*asked)).scalar_one())
