"""Changes of the rules about who may see the presence of one user, inside a change of the user database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.events.watcher_rules import MOST_RULES, watcher_key
from sipmesh.storage.users.user_rows import row_of, rules_in, wrong
from sipmesh.topology.document.watching import Watching

if TYPE_CHECKING:
    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")

_SHOWS_LESS: Final = (Watching.ALLOW, Watching.POLITE_BLOCK, Watching.BLOCK).index
"""Puts rules in order: a later one shows less."""


def set_rule(db: sql.Connection, aor: str, watcher: str, rule: Watching) -> None:
    """Set the rule of *aor* about *watcher*; raises `OperatorError` for an unknown user, and above `MOST_RULES`."""
    row_of(db, aor)
    db.execute(tables.WATCHERS.delete().where(tables.WATCHERS.c.aor == aor, tables.WATCHERS.c.watcher == watcher))
    stored = rules_in(db, sql.select(tables.WATCHERS).where(tables.WATCHERS.c.aor == aor)).get(aor, ())
    if len(stored) >= MOST_RULES:
        remedy = f"to remove one: sipmesh user presence remove {aor[4:]} WATCHER"
        raise wrong(f"{aor} has {MOST_RULES} rules, which is the limit", remedy)
    db.execute(tables.WATCHERS.insert().values(aor=aor, watcher=watcher, rule=str(rule)))


def remove_rule(db: sql.Connection, aor: str, watcher: str) -> None:
    """Remove the rule of *aor* about *watcher*; raises `OperatorError` if there is none."""
    row_of(db, aor)
    if not db.execute(
        tables.WATCHERS.delete().where(tables.WATCHERS.c.aor == aor, tables.WATCHERS.c.watcher == watcher)
    ).rowcount:
        remedy = f"to list the rules: sipmesh user presence list {aor[4:]}"
        raise wrong(f"{aor} has no rule for {watcher.removeprefix('sip:')}", remedy)


def rename_watcher(db: sql.Connection, old: str, new: str) -> list[str]:
    """Let the rules about the watcher *old* be about *new*, or remove them with ""; returns whose rules change.

    Of two rules about one watcher, the rule that shows less counts.
    """
    table, key = tables.WATCHERS, watcher_key(new) if new else ""
    about = rules_in(db, sql.select(table).where(table.c.watcher.in_((watcher_key(old), key))))
    changed = {aor: rules for aor, rules in about.items() if watcher_key(old) in rules}
    for aor, rules in changed.items():
        db.execute(table.delete().where(table.c.aor == aor, table.c.watcher.in_(tuple(rules))))
        if key:
            db.execute(table.insert().values(aor=aor, watcher=key, rule=str(max(rules.values(), key=_SHOWS_LESS))))
    return list(changed)
