"""All that names a user in the user database: what the user has, and what other users have said about this user.

A user who is renamed keeps all of it. Of a user who is removed nothing is left: a later user of the name is another person. A new
table or rule that names users has its place here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.database.lazy_module import LazyModule
from sipmesh.storage.users.call_rule_rows import rename_in_rules
from sipmesh.storage.users.contact_rows import remove_contacts, rename_contacts
from sipmesh.storage.users.device_rows import remove_devices
from sipmesh.storage.users.directory_rows import remove_link
from sipmesh.storage.users.watcher_rows import rename_watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.database.lazy_module import sql
    from sipmesh.storage.users import logout_tables
    from sipmesh.storage.users import user_tables as tables
else:
    logout_tables = LazyModule("sipmesh.storage.users.logout_tables")
    tables = LazyModule("sipmesh.storage.users.user_tables")


def rename_user(db: sql.Connection, old: str, new: str) -> None:
    """Give the user *old* the address *new*, which no user has, inside the change of the user.

    Passwords and invitations of devices end: their hashes have the old name. The link to the directory is not changed.
    """
    for table in _own():
        db.execute(table.delete().where(table.c.aor == new))  # of an earlier user, whom another release has removed
        db.execute(table.update().where(table.c.aor == old).values(aor=new))
    db.execute(tables.USERS.update().where(tables.USERS.c.aor == old).values(aor=new))
    remove_devices(db, old)
    remove_devices(db, new)
    rename_contacts(db, old, new)
    _rename_in_others(db, old, new)


def remove_user(db: sql.Connection, aor: str) -> None:
    """Remove the user *aor*, inside the change of the user. In the contacts of others the address stays: it gives no right."""
    for table in (*_own(), tables.USERS):
        db.execute(table.delete().where(table.c.aor == aor))
    remove_devices(db, aor)
    remove_contacts(db, aor)
    remove_link(db, aor)
    _rename_in_others(db, aor, "")


def _own() -> Sequence[sql.Table]:
    """Return the tables beside that of the users of which rows go with their user."""
    return (tables.ALIASES, tables.WATCHERS, tables.DISABLED, logout_tables.LOGOUTS)


def _rename_in_others(db: sql.Connection, old: str, new: str) -> None:
    """Let what other users have said about *old* be about *new*, or about no user with "": servers have to know it."""
    changed = sorted({*rename_in_rules(db, old, new), *rename_watcher(db, old, new)})
    if changed:
        number = tables.raise_number(db, len(changed))
        db.execute(tables.CHANGES.insert(), [{"version": number - n, "aor": one} for n, one in enumerate(changed)])
