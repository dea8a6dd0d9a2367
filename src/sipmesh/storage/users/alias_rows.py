"""Changes of the aliases of one user, inside a change of the user database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.storage.users.user_rows import (
    MOST_ALIASES,
    aliases_of,
    owner_of,
    row_of,
    user_like,
    user_of_number,
    wrong,
)

if TYPE_CHECKING:
    from sipmesh.storage.users import user_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")


def add_alias(db: sql.Connection, aor: str, key: str) -> None:
    """Give *aor* the alias *key*.

    Raises `OperatorError` for an unknown user, for an alias that is the name or the alias of a user, and above `MOST_ALIASES`.
    """
    row_of(db, aor)
    if found := user_like(db, key) or user_of_number(db, key) or owner_of(db, (key,)):
        raise wrong(f"{key} is already a name of {found}", f"to see it: sipmesh explain {found[4:]}")
    if len(aliases_of(db, aor)) >= MOST_ALIASES:
        remedy = f"to remove one: sipmesh user alias remove {aor[4:]} ALIAS"
        raise wrong(f"{aor} has {MOST_ALIASES} aliases, which is the limit", remedy)
    db.execute(tables.ALIASES.insert().values(alias=key, aor=aor, created=datetime.now(UTC)))


def remove_alias(db: sql.Connection, aor: str, key: str) -> None:
    """Take the alias *key* from *aor*; raises `OperatorError` if it is not an alias of this user."""
    row_of(db, aor)
    if not db.execute(
        tables.ALIASES.delete().where(tables.ALIASES.c.alias == key, tables.ALIASES.c.aor == aor)
    ).rowcount:
        raise wrong(f"{key} is not an alias of {aor}", f"to list them: sipmesh user alias list {aor[4:]}")
