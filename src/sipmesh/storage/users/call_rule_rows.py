"""The rules of a user's calls, in the row of the user."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.call_rules.call_rules import NO_RULES, UNREADABLE, CallRules, rules_from
from sipmesh.routing.identity.alias import folded
from sipmesh.storage.users.user_rows import row_of, rows_of, wrong
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")


def call_rules_in(row: Mapping[str, Any]) -> CallRules:
    """Return the rules of the user of *row*. Rules that cannot be read, which no command has written, block all calls."""
    text = row.get("call_rules")
    if text is None:
        return NO_RULES
    try:
        return rules_from(read_json(text.encode()))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return UNREADABLE


def rules_for_servers(row: Mapping[str, Any]) -> CallRules:
    """Return the rules that count at servers; *row* is one of `device_rows.with_devices`. No user calls for a disabled one."""
    rules = call_rules_in(row)
    return replace(rules, delegates=()) if rules.delegates and row["is_disabled"] else rules


def must_be_no_group(row: Mapping[str, Any]) -> None:
    """Raise `OperatorError` for the row of a group: no device logs in as one."""
    if call_rules_in(row).is_group:
        raise wrong(
            f"{row['aor']} is a group, and no device logs in as one", f"to see it: sipmesh group show {row['aor'][4:]}"
        )


def rename_in_rules(db: sql.Connection, old: str, new: str) -> list[str]:
    """Write the user *new* in place of *old* into the rules of others, or take *old* out with ""; returns whose rules change."""
    written = {json.dumps(name) for name in (old, folded(old))}
    like = sql.or_(*(tables.USERS.c.call_rules.contains(name, autoescape=True) for name in written))
    changed: list[str] = []
    for row in rows_of(db, sql.select(tables.USERS).where(like)):
        rules = call_rules_in(row)
        renamed = rules.with_user_renamed(old, new)
        if rules is not UNREADABLE and renamed != rules:
            set_call_rules(db, row["aor"], renamed)
            changed.append(row["aor"])
    return changed


def set_call_rules(db: sql.Connection, aor: str, rules: CallRules) -> None:
    """Store the rules of *aor*; raises `OperatorError` for an unknown user."""
    row_of(db, aor)
    text = json.dumps(rules.as_json(), separators=(",", ":")) if rules != NO_RULES else None
    db.execute(tables.USERS.update().where(tables.USERS.c.aor == aor).values(call_rules=text))
