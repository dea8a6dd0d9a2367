"""Logouts of users at the OpenID provider, inside a change of the user database. Access tokens from before them are ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.storage.users.user_rows import row_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sipmesh.storage.users import logout_tables
else:
    logout_tables = LazyModule("sipmesh.storage.users.logout_tables")

MOST_LOGOUTS: Final = 16
"""Logouts of one user; beyond them, the oldest one becomes a logout of all sessions: it ends more tokens, never fewer."""

KEPT_S: Final = 86_400
"""Seconds for which a logout is kept: an access token lives for a shorter time."""

ALL_SESSIONS: Final = ""


def add_logout(db: sql.Connection, aor: str, session: str, at: int) -> None:
    """End the tokens of a *session* (the hash of ``sid``), or all that were issued until *at*, in epoch seconds.

    Raises `OperatorError` for an unknown user.
    """
    row_of(db, aor)
    table = logout_tables.LOGOUTS
    held = {row["session"]: row["at"] for row in rows_of(db, sql.select(table).where(table.c.aor == aor))}
    held[session] = max(at, held.get(session, 0))
    kept = {one: ended for one, ended in held.items() if ended > at - KEPT_S}
    while len(kept) > MOST_LOGOUTS:
        oldest = min(kept.keys() - {ALL_SESSIONS}, key=kept.__getitem__)
        kept[ALL_SESSIONS] = max(kept.pop(oldest), kept.get(ALL_SESSIONS, 0))
    db.execute(table.delete().where(table.c.aor == aor))
    db.execute(table.insert(), [{"aor": aor, "session": one, "at": ended} for one, ended in kept.items()])


def logouts_in(db: sql.Connection, among: sql.Select[Any] | None = None) -> Mapping[str, Mapping[str, int]]:
    """Return the logouts by user and session; *among* selects the addresses, None means all."""
    table = logout_tables.LOGOUTS
    query = sql.select(table) if among is None else sql.select(table).where(table.c.aor.in_(among))
    found: dict[str, dict[str, int]] = {}
    rows: Sequence[dict[str, Any]] = rows_of(db, query)
    for row in rows:
        of_user = found.setdefault(row["aor"], {})
        if len(of_user) <= MOST_LOGOUTS and isinstance(row["session"], str) and isinstance(row["at"], int):
            of_user[row["session"]] = row["at"]
    return found
