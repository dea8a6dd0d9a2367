"""The schemas of our databases: the revision that this release needs, and the folder of the Alembic revisions that lead to it.

Several schemas can share a database: each has a table of its own for its revision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import sql
from sipmesh.database.masked import masked
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Self

MIGRATIONS: Final = Path(__file__).with_name("migrations")


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one store. *head* is the newest revision in *folder*; revisions are four digits, and rise.

    *prefix* begins the name of each table: the ledgers of several CAs can share a database.
    """

    name: str
    head: str
    folder: Path
    prefix: str = ""

    @property
    def version_table(self) -> str:
        """The table with the revision of this schema."""
        return f"{self.prefix}{self.name}_schema"

    def with_prefix(self, prefix: str) -> Self:
        """Return the same schema with tables whose names begin with *prefix*."""
        return replace(self, prefix=prefix)

    def is_current(self, db: sql.Connection) -> bool:
        """Return whether the tables have the newest revision.

        Raises `OperatorError` if they have a revision that this release does not know.
        """
        found = self._revision(db)
        if found is None or found == self.head:
            return found == self.head
        is_earlier = len(found) == len(self.head) and found.isascii() and found.isdigit() and found < self.head
        if not (is_earlier and (self.folder / f"v{found}.py").is_file()):
            remedy = "install the release that wrote it, or a newer one; if there is none, restore it from your backup"
            raise OperatorError(
                f"the {self.name} database {masked(db.engine.url.render_as_string())} has revision {found}, and this release of "
                f"sipmesh knows revisions up to {self.head}; {remedy}"
            )
        return False

    def must_be_ours(self, db: sql.Connection) -> None:
        """Raise `OperatorError` unless the database is empty, or has tables of ours: another program's gets no table."""
        found = sql.inspect(db)
        tables = found.get_table_names()
        columns = [f"users.{column['name']}" for column in found.get_columns("users")] if "users" in tables else []
        must_be_ours([*tables, *columns], f"{self.name} database {masked(db.engine.url.render_as_string())}")

    def _revision(self, db: sql.Connection) -> str | None:
        """Return the revision of the tables; None if there are none, or those of a release without revisions."""
        if not sql.inspect(db).has_table(self.version_table):
            return None
        # As text: each use of a database has an engine of its own, which would compile the statement again.
        table = db.dialect.identifier_preparer.quote(self.version_table)
        revisions = db.exec_driver_sql(f"SELECT version_num FROM {table}").scalars().all()  # noqa: S608 - quoted
        return ", ".join(map(str, revisions)) if revisions else None


MANAGEMENT: Final = Schema("management", "0001", MIGRATIONS / "management")
USERS: Final = Schema("users", "0003", MIGRATIONS / "users")
DEVICES: Final = Schema("devices", "0002", MIGRATIONS / "devices")
DIRECTORY: Final = Schema("directory", "0001", MIGRATIONS / "directory")
LOGOUTS: Final = Schema("logouts", "0001", MIGRATIONS / "logouts")
SCIM: Final = Schema("scim", "0001", MIGRATIONS / "scim")
CONTACTS: Final = Schema("contacts", "0001", MIGRATIONS / "contacts")
"""Apart from the tables of devices and of the directory: the release before serves a folder that has these tables."""

TICKETS: Final = Schema("tickets", "0001", MIGRATIONS / "tickets")
"""Beside the users, and apart from them: an earlier release serves a folder that has this table."""

MESSAGES: Final = Schema("messages", "0002", MIGRATIONS / "messages")
HISTORY: Final = Schema("history", "0002", MIGRATIONS / "history")
"""Beside the stored messages, and apart from them: an earlier release serves a folder that has this table."""

FILES: Final = Schema("files", "0001", MIGRATIONS / "files")
"""In a file of its own, or beside the users: an earlier release serves a folder that has these tables."""

LEDGER: Final = Schema("ledger", "0001", MIGRATIONS / "ledger")
ENROLMENT: Final = Schema("enrolment", "0001", MIGRATIONS / "enrolment")
"""Beside the tables of management, and apart from them: an earlier release serves a folder that has these tables."""

CLOCKS: Final = Schema("clocks", "0001", MIGRATIONS / "clocks")
"""Beside the tables of management, and apart from them: an earlier release serves a folder that has this table."""

CALLS: Final = Schema("calls", "0001", MIGRATIONS / "calls")
SCHEMAS: Final = (
    MANAGEMENT,
    USERS,
    MESSAGES,
    LEDGER,
    CALLS,
    ENROLMENT,
    DEVICES,
    DIRECTORY,
    LOGOUTS,
    SCIM,
    CONTACTS,
    TICKETS,
    HISTORY,
    FILES,
    CLOCKS,
)
"""All schemas."""

_OURS: Final = re.compile(r"(?:ca\d+_)?[a-z]+_schema|ca\d+_facts|stored_messages|users\.ha1_sha256")
_LEDGER: Final = frozenset({"certificates", "facts", "lists"})
_HISTORY: Final = frozenset({"audit", "versions"})


def must_be_ours(tables: Collection[str], what: str) -> None:
    """Raise `OperatorError` if a database has *tables*, and none of ours; *what* names it.

    *tables* may have columns also, as ``table.column``. Another program's database gets no table. Releases without revisions are
    known by the tables that they made.
    """
    have = frozenset(tables)
    if not have or any(map(_OURS.fullmatch, have)) or have >= _LEDGER or have >= _HISTORY:
        return
    raise OperatorError(
        f"the {what} belongs to another program: it has the table {min(have)!a}, and none of sipmesh; name an empty "
        "database that sipmesh has for itself"
    )
