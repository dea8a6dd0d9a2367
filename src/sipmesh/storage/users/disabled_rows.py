"""Disabled users, inside a change of the user database.

The hashes of the password are kept aside, and random hashes take their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.storage.users.device_rows import remove_invitations
from sipmesh.storage.users.password_hashes import unknown_hashes
from sipmesh.storage.users.user_columns import COLUMN_OF
from sipmesh.storage.users.user_rows import disabled_since, row_of, rows_of, wrong

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")


def disable_rows(db: sql.Connection, aor: str, at: datetime, version: int) -> dict[str, Any]:
    """Disable a user and revoke the open invitations; returns the new row.

    Raises `OperatorError` for an unknown or disabled user.
    """
    row = row_of(db, aor)
    if disabled_since(db, aor) is not None:
        raise wrong(f"{aor} is disabled already", f"to enable the user: sipmesh user enable {aor[4:]}")
    kept = {column: row[column] for column in COLUMN_OF.values()}
    remove_invitations(db, aor)
    db.execute(tables.DISABLED.insert().values(aor=aor, since=at, **kept))
    values = {**unknown_hashes(kept), "generation": version}
    db.execute(tables.USERS.update().where(tables.USERS.c.aor == aor).values(values))
    return {**row, **values}


def enable_rows(db: sql.Connection, aor: str, version: int) -> dict[str, Any]:
    """Enable a disabled user; returns the new row. Raises `OperatorError` for any other user."""
    row = row_of(db, aor)
    kept = rows_of(db, sql.select(tables.DISABLED).where(tables.DISABLED.c.aor == aor))
    if not kept:
        raise wrong(f"{aor} is not disabled", "to list the users: sipmesh user list")
    db.execute(tables.DISABLED.delete().where(tables.DISABLED.c.aor == aor))
    values = {**{column: kept[0][column] for column in COLUMN_OF.values()}, "generation": version}
    db.execute(tables.USERS.update().where(tables.USERS.c.aor == aor).values(values))
    return {**row, **values}
