"""Queries of the user database: rows of users, their aliases, their rules about watchers, and since when they are disabled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.digest_sets import is_names_key
from sipmesh.routing.call_rules.call_rules import NO_RULES as NO_CALL_RULES
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.events.watcher_rules import MOST_RULES, NO_RULES, WatcherRules
from sipmesh.routing.identity.alias import alias_keys, folded
from sipmesh.sip.digest import Algorithm
from sipmesh.sip.tel import TelUri, is_tel
from sipmesh.storage.alias_index import AliasIndex
from sipmesh.storage.users.user import User
from sipmesh.storage.users.user_columns import COLUMN_OF
from sipmesh.storage.users.user_document import octets_in_json
from sipmesh.topology.document.watching import Watching

if TYPE_CHECKING:
    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")

MOST_ALIASES: Final = 32
"""Aliases of one user: every server of the network has them in memory."""

LONGEST_NAME: Final = 8_192
"""Octets of an address, an alias, a watcher or a pool in a document, which one of them could fill otherwise."""


def rows_of(db: sql.Connection, query: sql.Select[Any]) -> list[dict[str, Any]]:
    """Return the rows of *query*, each with its values by column.

    Quick also for 100,000 rows: PostgreSQL ends a transaction that pauses too long between two queries (`DatabaseTimeouts`).
    """
    found = db.execute(query)
    columns = tuple(found.keys())
    return [dict(zip(columns, row, strict=True)) for row in found]


def is_text(value: object) -> bool:
    """Tell whether a value can be an alias or a watcher: SQLite stores any value in any column."""
    return isinstance(value, str) and 0 < octets_in_json(value) <= LONGEST_NAME


def row_of(db: sql.Connection, aor: str) -> Mapping[str, Any]:
    """Return the row of *aor*; raises `OperatorError` for an unknown user."""
    rows = rows_of(db, sql.select(tables.USERS).where(tables.USERS.c.aor == aor))
    if not rows:
        raise wrong(f"{aor} is not a user", "to list the users: sipmesh user list")
    return rows[0]


def user_like(db: sql.Connection, aor: str) -> str:
    """Return the user whose address differs from *aor* in the case of its letters at most, "" if there is none."""
    same = sql.func.lower(tables.USERS.c.aor) == folded(aor)
    return str(db.execute(sql.select(tables.USERS.c.aor).where(same)).scalar() or "")


def user_of_number(db: sql.Connection, key: str) -> str:
    """Return the user whose own name is the telephone number *key*, "" if there is none.

    Only a name that begins with a digit or ``+`` can be one (`alias_keys`).
    """
    if not is_tel(key):
        return ""
    number = TelUri.parse(key)
    named = sql.select(tables.USERS.c.aor).where(tables.USERS.c.aor.like(f"sip:{number.number[0]}%"))
    return next((aor for aor in db.execute(named).scalars() if key in alias_keys(aor)), "")


def owner_of(db: sql.Connection, keys: Collection[str]) -> str:
    """Return the user who has one of *keys* as an alias, "" if none has."""
    return str(db.execute(sql.select(tables.ALIASES.c.aor).where(tables.ALIASES.c.alias.in_(keys))).scalar() or "")


def aliases_of(db: sql.Connection, aor: str) -> Sequence[str]:
    """Return the aliases of *aor*."""
    return alias_index(db, sql.select(tables.ALIASES).where(tables.ALIASES.c.aor == aor)).of(aor)


def alias_index(db: sql.Connection, query: sql.Select[Any]) -> AliasIndex:
    """Return the aliases that *query* selects, by alias and by user."""
    found: dict[str, list[str]] = {}
    for row in rows_of(db, query):
        if is_text(row["alias"]):
            found.setdefault(row["aor"], []).append(row["alias"])
    index = AliasIndex()
    for aor, keys in found.items():
        index.put(aor, keys if len(keys) <= MOST_ALIASES else sorted(keys)[:MOST_ALIASES])
    return index


def rules_in(db: sql.Connection, query: sql.Select[Any]) -> dict[str, WatcherRules]:
    """Return the rules of each user. A rule of a later release that we do not know blocks."""
    known, found = {str(rule): rule for rule in Watching}, dict[str, dict[str, Watching]]()
    for row in rows_of(db, query):
        if is_text(row["watcher"]):
            found.setdefault(row["aor"], {})[row["watcher"]] = known.get(row["rule"], Watching.BLOCK)
    return {aor: dict(sorted(rules.items())[:MOST_RULES]) for aor, rules in found.items()}


def backups_in(db: sql.Connection) -> dict[str, str]:
    """Return the backup pool of each pool that has one."""
    return {row["pool"]: row["backup"] for row in rows_of(db, sql.select(tables.BACKUPS))}


def names_key_in(db: sql.Connection) -> str:
    """Return the key of the organisation for unknown names; "" if what is stored is none."""
    found = db.execute(sql.select(tables.VERSION.c.names_key)).scalar_one()
    return found if is_names_key(found) else ""


def algorithms_of(row: Mapping[str, Any]) -> tuple[Algorithm, ...]:
    """Return the digest algorithms of the user of *row*, strongest first."""
    return tuple([algorithm for algorithm, column in COLUMN_OF.items() if row[column]])


def user_from(
    row: Mapping[str, Any],
    aliases: Iterable[str] = (),
    watchers: WatcherRules = NO_RULES,
    disabled: datetime | None = None,
    calls: CallRules = NO_CALL_RULES,
) -> User:
    """Return the user of *row*, with what other tables have about this user."""
    account = row["aor"], algorithms_of(row), row["generation"], row["created"], row["pool"]
    return User(*account, tuple(aliases), watchers, disabled, calls)


def disabled_since(db: sql.Connection, aor: str) -> datetime | None:
    """Return since when a user is disabled, None for others."""
    found = rows_of(db, sql.select(tables.DISABLED.c.since).where(tables.DISABLED.c.aor == aor))
    return found[0]["since"] if found else None


def wrong(reason: str, remedy: str) -> OperatorError:
    """Make the error for the operator, who should do what *remedy* says."""
    return OperatorError(f"{reason}; {remedy}")
