"""What has changed in the user database since a number, and the documents that tell it to the servers of a pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.authentication.digest_sets import USUAL
from sipmesh.routing.call_rules.call_rules import NO_RULES
from sipmesh.storage.users.call_rule_rows import rules_for_servers
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.storage.users.stored_users import StoredUsers
from sipmesh.storage.users.unusable_rows import usable_addresses, usable_rows
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.storage.users.user_rows import algorithms_of, backups_in, names_key_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.routing.events.watcher_rules import WatcherRules
    from sipmesh.storage.alias_index import AliasIndex
    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")


@dataclass(frozen=True, slots=True)
class UserChanges:
    """The *rows* of users changed since the number *since*, 0 for all; *gone* are removed users, *version* the present number.

    *backups* has the backup pool of each pool that has one. *unusable* says why some rows are not among *rows*, by address: to
    the servers, these users are gone.
    """

    rows: Sequence[dict[str, Any]]
    aliases: AliasIndex
    rules: Mapping[str, WatcherRules]
    gone: frozenset[str]
    version: int
    since: int
    backups: Mapping[str, str]
    unusable: Mapping[str, str]
    names_key: str = field(repr=False)

    def documents(self, organisation: str, pool: str) -> Sequence[bytes]:
        """Return what the servers of *pool* have to know of it, as payloads to sign; each payload is one part."""
        ours = [row for row in self.rows if row["pool"] == pool]
        others = [row for row in self.rows if row["pool"] != pool]
        guests = [row for row in self.rows if self.backups.get(row["pool"]) == pool]
        document = UserDocument(
            organisation,
            pool,
            self.version,
            self.since,
            verifiers={row["aor"]: verifier_of(row) for row in ours},
            homes={row["aor"]: row["pool"] for row in others},
            algorithms={row["aor"]: found for row in others if (found := algorithms_of(row)) != USUAL},
            backups={row["aor"]: verifier_of(row) for row in guests},
            gone=self.gone,
            aliases={row["aor"]: keys for row in self.rows if (keys := self.aliases.of(row["aor"]))},
            watchers={row["aor"]: rules for row in (*ours, *guests) if (rules := self.rules.get(row["aor"]))},
            calls={
                row["aor"]: calls
                for row in self.rows
                if row["call_rules"] is not None and (calls := self._rules_for(pool, row)) != NO_RULES
            },
            names_key=self.names_key,
        )
        return [part.encode() for part in document.divided()]

    def _rules_for(self, pool: str, row: Mapping[str, Any]) -> CallRules:
        """Return the rules of a user that *pool* knows: all of them at the home pool and at its backup pool."""
        rules = rules_for_servers(row)
        return rules if pool in {row["pool"], self.backups.get(row["pool"])} else rules.for_all_pools()


def changes_since(db: sql.Connection, since: int, otherwise: str) -> UserChanges:
    """Give users without a home pool the pool *otherwise*, and return what has changed since a number.

    The version is written first, as in every change: so no change happens until everything has been read. If the changes are not
    known, as after a restore, all users are returned.
    """
    version = tables.raise_number(db, 0)
    db.execute(tables.USERS.update().where(tables.USERS.c.pool.is_(None)).values(pool=otherwise))
    changes = sql.select(tables.CHANGES.c.aor).where(tables.CHANGES.c.version > since)
    changed = list(db.execute(changes).scalars())
    backups, names_key = backups_in(db), names_key_in(db)
    if not since or len(changed) != version - since:
        stored, since, changed = StoredUsers.read(db), 0, []
    else:
        stored = StoredUsers.read(db, changes)
    rows, unusable = usable_rows(stored.rows)
    gone = usable_addresses(changed) - {row["aor"] for row in rows}
    return UserChanges(rows, stored.aliases, stored.rules, gone, version, since, backups, unusable, names_key)
