"""Logins of web phones that *Log out* has ended, with all their tickets. A row stays until the last ticket has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.database.lazy_module import LazyModule, sql

if TYPE_CHECKING:
    from sipmesh.storage.users import ended_ticket_tables as tables
else:
    tables = LazyModule("sipmesh.storage.users.ended_ticket_tables")


def end_tickets(db: sql.Connection, login: str, until: int, at: int) -> None:
    """End the tickets of a *login*, none of which counts after *until*; *at* is now. Instants are epoch seconds."""
    table = tables.ENDED
    db.execute(table.delete().where(sql.or_(table.c.until <= at, table.c.login == login)))
    db.execute(table.insert().values(login=login, until=until))


def has_ended(db: sql.Connection, login: str) -> bool:
    """Tell whether the tickets of a *login* were ended."""
    table = tables.ENDED
    return db.execute(sql.select(table.c.login).where(table.c.login == login)).first() is not None
