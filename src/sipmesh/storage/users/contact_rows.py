"""The contacts of users, as rows of the user database. They are read only for their own user."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.errors import OperatorError
from sipmesh.routing.identity.alias import folded
from sipmesh.storage.users.contact import MOST_GROUPS, MOST_NUMBERS, Contact, made_contact
from sipmesh.storage.users.user_rows import row_of, rows_of
from sipmesh.strict_json import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipmesh.storage.users import contact_tables
else:
    contact_tables = LazyModule("sipmesh.storage.users.contact_tables")

MOST_CONTACTS: Final = 500
"""Contacts of one user."""


class FullError(OperatorError):
    """The user has as many contacts as a user may have."""


def contacts_of(db: sql.Connection, aor: str) -> Sequence[Contact]:
    """Return the contacts of *aor*, by their id. A row that no contact can have is left out."""
    table = contact_tables.CONTACTS
    query = sql.select(table).where(table.c.aor == aor).order_by(table.c.id).limit(MOST_CONTACTS)
    return [contact for row in rows_of(db, query) if (contact := _contact(row)) is not None]


def contact_of(db: sql.Connection, aor: str, contact_id: str) -> Contact | None:
    """Return one contact of *aor*, None if there is none."""
    table = contact_tables.CONTACTS
    rows = rows_of(db, sql.select(table).where(table.c.aor == aor, table.c.id == contact_id))
    return _contact(rows[0]) if rows else None


def put_contact(db: sql.Connection, aor: str, contact: Contact) -> None:
    """Keep a contact of *aor*, in place of the one with its id, inside a change of users.

    Raises `FullError`, and `OperatorError` for a user who is gone.
    """
    table = contact_tables.CONTACTS
    row_of(db, aor)
    db.execute(table.delete().where(table.c.aor == aor, table.c.id == contact.id))
    kept = db.execute(sql.select(sql.func.count()).select_from(table).where(table.c.aor == aor)).scalar_one()
    if kept >= MOST_CONTACTS:
        raise FullError(f"you have {MOST_CONTACTS} contacts, which is the limit; remove one first")
    about = {"numbers": contact.numbers, "groups": contact.groups}
    values = {"aor": aor, "id": contact.id, "uid": contact.uid, "name": contact.name, "address": contact.address}
    db.execute(table.insert().values({**values, "about": json.dumps(about)}))
    _count_change(db, aor)


def remove_contact(db: sql.Connection, aor: str, contact_id: str) -> bool:
    """Remove a contact of *aor*; False if there was none."""
    table = contact_tables.CONTACTS
    is_removed = bool(db.execute(table.delete().where(table.c.aor == aor, table.c.id == contact_id)).rowcount)
    if is_removed:
        _count_change(db, aor)
    return is_removed


def remove_contacts(db: sql.Connection, *aors: str) -> None:
    """Remove all contacts of users who are removed."""
    for table in _tables():
        db.execute(table.delete().where(table.c.aor.in_(aors)))


def rename_contacts(db: sql.Connection, old: str, new: str) -> None:
    """Give a user who is renamed the contacts under the new address, and write it into the contacts of others."""
    table = contact_tables.CONTACTS
    remove_contacts(db, new)
    for one in _tables():
        db.execute(one.update().where(one.c.aor == old).values(aor=new))
    was, becomes = (folded(one).removeprefix("sip:") for one in (old, new))
    for aor in db.execute(sql.select(table.c.aor).where(table.c.address == was).distinct()).scalars().all():
        _count_change(db, aor)
    db.execute(table.update().where(table.c.address == was).values(address=becomes))


def changes_of(db: sql.Connection, aor: str) -> int:
    """Return how many changes the contacts of *aor* have had, and at least 1."""
    table = contact_tables.CHANGES
    return 1 + int(db.execute(sql.select(table.c.number).where(table.c.aor == aor)).scalar() or 0)


def _count_change(db: sql.Connection, aor: str) -> None:
    table = contact_tables.CHANGES
    if not db.execute(table.update().where(table.c.aor == aor).values(number=table.c.number + 1)).rowcount:
        db.execute(table.insert().values(aor=aor, number=1))


def _tables() -> Sequence[sql.Table]:
    return (contact_tables.CONTACTS, contact_tables.CHANGES)


def _contact(row: Mapping[str, Any]) -> Contact | None:
    """Return the contact of a row, None for a row that no release has written: SQLite stores any value in any column."""
    try:
        about = read_object(row["about"])
        lists = [[str(one) for one in about.get(name, ())] for name in ("numbers", "groups")]
        numbers, groups = lists[0][:MOST_NUMBERS], lists[1][:MOST_GROUPS]
        return made_contact(row["id"], row["name"], row["address"], numbers, groups, row["uid"])
    except (OperatorError, ValueError, TypeError, AttributeError):
        return None
