"""Users of the database with all that servers need of them, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.events.watcher_rules import WatcherRules
from sipmesh.storage.alias_index import AliasIndex
from sipmesh.storage.users.device_rows import with_devices
from sipmesh.storage.users.user_rows import alias_index, rows_of, rules_in

if TYPE_CHECKING:
    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")


@dataclass(frozen=True, slots=True)
class StoredUsers:
    """The *rows* of users with their devices, ordered by address, and the *aliases* and presence *rules* of these users."""

    rows: Sequence[dict[str, Any]]
    aliases: AliasIndex
    rules: Mapping[str, WatcherRules]

    @classmethod
    def read(cls, db: sql.Connection, among: sql.Select[Any] | None = None) -> StoredUsers:
        """Read the users whose addresses *among* selects; None means all users."""
        users, aliases, rules = (
            sql.select(table) if among is None else sql.select(table).where(table.c.aor.in_(among))
            for table in (tables.USERS, tables.ALIASES, tables.WATCHERS)
        )
        rows = with_devices(db, rows_of(db, users.order_by(tables.USERS.c.aor)), among)
        return cls(rows, alias_index(db, aliases), rules_in(db, rules))
