"""The users: who there is, and what proves it. In SQLite by default, in PostgreSQL where a URL says so.

The command line writes, running servers read. A server holds all users in memory, so that checking a password costs the same
for a known user as for an unknown one, and asks the database now and then what has changed (`Users.refresh`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier, user_of
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.sip.uri import SipUri
from sipmesh.storage.database import Database
from sipmesh.storage.user_document import UserDocument

DEFAULT_ALGORITHMS = (Algorithm.SHA_256, Algorithm.MD5)
"""RFC 8760 section 2.6: the strongest first. MD5 stays for browsers' libraries; MD5 alone is for phones that know no other."""


class _Instant(sql.TypeDecorator[datetime]):
    """UTC, whatever the database makes of it: SQLite keeps no zone, PostgreSQL answers in the one that it is set to."""

    impl = sql.DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, _dialect: sql.Dialect) -> datetime | None:
        if value is None or value.tzinfo is None:
            return value and value.replace(tzinfo=UTC)
        return value.astimezone(UTC)


_schema = sql.MetaData()
_users = sql.Table(
    "users",
    _schema,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("generation", sql.BigInteger, nullable=False),
    sql.Column("created", _Instant, nullable=False),
    sql.Column("pool", sql.Text),
)
# One row. It is updated first in every change, so that changes happen one after the other and their numbers rise by commit.
_version = sql.Table(
    "users_version",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("version", sql.BigInteger, nullable=False),
)
# Whose row each change was about. It only ever grows, by a few bytes for each command of an operator.
_changes = sql.Table(
    "users_changes",
    _schema,
    sql.Column("version", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("aor", sql.Text, nullable=False),
)
_COLUMN_OF = {Algorithm.SHA_256: "ha1_sha256", Algorithm.MD5: "ha1_md5"}


@dataclass(frozen=True, slots=True)
class User:
    """One row, as far as anybody may see it; *pool* is the home, None where the topology's first front-end pool is it."""

    aor: str
    algorithms: tuple[Algorithm, ...]
    generation: int
    created: datetime
    pool: str | None = None


_Stamp = tuple[tuple[int, int, int], ...]
_YOUNG_NS = 2_000_000_000  # far above the step of any file system's clock


class Users:
    """The users of one organisation."""

    __slots__ = ("_database", "_engine", "_file", "_homes", "_known", "_seen", "_stamp", "where")

    def __init__(self, url: str | Path) -> None:
        """Open or make the database; a path means SQLite. Raises `OperatorError` where it cannot be used."""
        self._database = Database(url, "users")
        self.where, self._engine, self._file = self._database.where, self._database.engine, self._database.file
        self._stamp: _Stamp | None = None
        self._known: dict[str, Verifier] = {}
        self._homes: dict[str, str] = {}
        self._seen = 0
        _create_tables(self._database)
        with self._database.border():
            self._load()

    def __repr__(self) -> str:
        return f"<Users {self.where} known={len(self._known)} version={self._seen}>"

    def add(
        self,
        aor: str,
        password: str,
        algorithms: Collection[Algorithm] = DEFAULT_ALGORITHMS,
        *,
        realm: str | None = None,
        pool: str | None = None,
    ) -> User:
        """Add a user; *aor* may lack its ``sip:``, and *realm* is its domain unless told otherwise.

        *pool* is its home, whose name is taken as it is; None leaves it to the topology (`User`).

        Raises `OperatorError` for an address without user or domain, one that exists, and a password that is empty.
        """
        uri = read_address(aor)
        hashes = _hashes(uri, password, algorithms, realm)
        with self._changing(uri.aor) as (db, version):
            if db.execute(sql.select(_users.c.aor).where(_users.c.aor == uri.aor)).first():
                raise _wrong(
                    f"{uri.aor} exists already", f"to change the password: sipmesh user password {uri.aor[4:]}"
                )
            row = {"aor": uri.aor, **hashes, "generation": version, "created": datetime.now(UTC), "pool": pool}
            db.execute(_users.insert().values(row))
        return _user(row)

    def set_password(
        self, aor: str, password: str, algorithms: Collection[Algorithm] | None = None, *, realm: str | None = None
    ) -> User:
        """Change a password, and with it the generation; *algorithms* stay as they are unless given.

        Raises `OperatorError` for an unknown user and for a password that is empty.
        """
        uri = read_address(aor)
        with self._changing(uri.aor) as (db, version):
            held = _user(_row_of(db, uri.aor))
            values = {**_hashes(uri, password, algorithms or held.algorithms, realm), "generation": version}
            db.execute(_users.update().where(_users.c.aor == uri.aor).values(values))
        return _user({**values, "aor": uri.aor, "created": held.created, "pool": held.pool})

    def move(self, aor: str, pool: str) -> User:
        """Give a user another home, and a new generation with it: links at the old one prove nothing any more.

        Raises `OperatorError` for an unknown user.
        """
        uri = read_address(aor)
        with self._changing(uri.aor) as (db, version):
            row = _row_of(db, uri.aor)
            values = {"pool": pool, "generation": version}
            db.execute(_users.update().where(_users.c.aor == uri.aor).values(values))
        return _user({**row, **values})

    def remove(self, aor: str) -> None:
        """Remove a user; raises `OperatorError` for an unknown one."""
        uri = read_address(aor)
        with self._changing(uri.aor) as (db, _):
            _row_of(db, uri.aor)
            db.execute(_users.delete().where(_users.c.aor == uri.aor))

    def one(self, aor: str) -> User:
        """Give one user as the database has it now; raises `OperatorError` for an unknown one."""
        uri = read_address(aor)
        with self._database.border(), self._engine.connect() as db:
            return _user(_row_of(db, uri.aor))

    def list(self) -> Sequence[User]:
        """Give all users by address, as the database has them now."""
        with self._database.border(), self._engine.connect() as db:
            return [_user(row) for row in _rows(db, sql.select(_users).order_by(_users.c.aor))]

    def documents(self, organisation: str, pool: str, otherwise: str, *, since: int = 0) -> Sequence[bytes]:
        """Give what the servers of *pool* have to know of all users, as payloads to be signed; each is one part of it.

        Users who were given no home get *otherwise* for good first, so that a number always stands for the same content.
        *since* is the number that the servers have: then only what has changed since then, nothing at all if that is
        what there is now, and everybody where that cannot be told, as after a restore. Takes about a second for 100,000
        users.
        """
        rows, gone, version, since = self._changed_since(since, otherwise)
        if version == since or not version:
            return []
        ours = [row for row in rows if row["pool"] == pool]
        roster = UserDocument(
            organisation,
            pool,
            version,
            since,
            verifiers={row["aor"]: _verifier(row) for row in ours},
            homes={row["aor"]: row["pool"] for row in rows if row["pool"] != pool},
            gone=gone,
        )
        return [part.encode() for part in roster.divided()]

    def _changed_since(self, since: int, otherwise: str) -> tuple[Sequence[dict[str, Any]], frozenset[str], int, int]:
        """Give the rows changed since a number, whose are gone, the number now, and the number that was really begun at.

        The version is written first, as in every change: so nobody changes anything until all has been read.
        """
        with self._database.border(), self._engine.begin() as db:
            same = _version.update().values(version=_version.c.version).returning(_version.c.version)
            version: int = db.execute(same).scalar_one()
            db.execute(_users.update().where(_users.c.pool.is_(None)).values(pool=otherwise))
            changes = sql.select(_changes.c.aor).where(_changes.c.version > since)
            changed = list(db.execute(changes).scalars())
            if not since or len(changed) != version - since:
                return _rows(db, sql.select(_users).order_by(_users.c.aor)), frozenset(), version, 0
            rows = _rows(db, sql.select(_users).where(_users.c.generation > since).order_by(_users.c.aor))
            return rows, frozenset(changed) - {row["aor"] for row in rows}, version, since

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """The pools where users are at home, "" for those who were given none, and the domains of their addresses."""
        domains = {aor.rpartition("@")[2] for aor in self._known}
        return frozenset(self._homes.values()), frozenset(domains)

    @property
    def ready(self) -> bool:
        """They are read when the database is opened."""
        return True

    @property
    def number(self) -> int:
        """The version of the users, as of the last `refresh`."""
        return self._seen

    def copy_to(self, other: Users) -> int:
        """Copy everything into a database that has no users yet; returns how many there are.

        Raises `OperatorError` where *other* has users, or either cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            db.execute(
                _version.update().values(version=_version.c.version)
            )  # so that nobody changes anything meanwhile
            found = {table: _rows(db, sql.select(table)) for table in (_users, _changes, _version)}
        with other._database.border(), other._engine.begin() as db:
            db.execute(_version.update().values(version=_version.c.version))
            if db.execute(sql.select(_users.c.aor).limit(1)).first():
                raise _wrong(f"the database already has users: {other.where}", "import into an empty database")
            for table, rows in found.items():
                db.execute(table.delete())
                if rows:
                    db.execute(table.insert(), rows)
        return len(found[_users])

    def jump(self, by: int) -> int:
        """Raise the number of the users, so that none which was given out before a restore is met again; returns it.

        Raises `OperatorError` where the database cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            jumped = _version.update().values(version=_version.c.version + by).returning(_version.c.version)
            return int(db.execute(jumped).scalar_one())

    def verifier(self, aor: str) -> Verifier | None:
        """Give what proves *aor*, from memory, as of the last `refresh`; None for an unknown user."""
        return self._known.get(aor)

    def home(self, aor: str) -> str | None:
        """Give the name of the pool where *aor* is at home, as of the last `refresh`: "" where none was named for it.

        None for an unknown user.
        """
        return self._homes.get(aor, "") if aor in self._known else None

    def refresh(self) -> frozenset[str]:
        """Take over what others have changed; returns the addresses of record added, changed or removed since.

        A live link of one of them proves nothing any more, unless it was proved under the generation that
        `verifier` now gives. Blocks for as long as the database does: a look at the files where it is SQLite and they have
        not been written to, else one small query when nothing has changed.
        """
        stamp = _stamp_of(self._file)
        if stamp is not None and stamp == self._stamp:
            return frozenset()
        changed = self._changed()
        self._stamp = stamp
        return changed

    def _changed(self) -> frozenset[str]:
        with self._database.border(), self._engine.connect() as db:
            version = db.execute(sql.select(_version.c.version)).scalar_one()
            if version == self._seen:
                return frozenset()
            since = sql.select(_changes.c.aor).where(_changes.c.version > self._seen, _changes.c.version <= version)
            changed = frozenset(db.execute(since).scalars())
            rows = _rows(db, sql.select(_users).where(_users.c.aor.in_(since)))  # a query takes 65,535 values at most
        self._take_over(changed, rows, version)
        return changed

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _take_over(self, changed: AbstractSet[str], rows: Sequence[Mapping[str, Any]], version: int) -> None:
        """Replace what is known of *changed*; each step is one that a reader in another thread may fall between."""
        self._homes.update({row["aor"]: row["pool"] or "" for row in rows})
        self._known.update({row["aor"]: _verifier(row) for row in rows})
        for aor in changed - {row["aor"] for row in rows}:
            self._known.pop(aor, None)
            self._homes.pop(aor, None)
        self._seen = version

    def _load(self) -> None:
        with self._engine.connect() as db:
            version = db.execute(sql.select(_version.c.version)).scalar_one()
            rows = _rows(db, sql.select(_users))
        self._take_over(frozenset(), rows, version)

    @contextmanager
    def _changing(self, aor: str) -> Iterator[tuple[sql.Connection, int]]:
        """Begin a change of one user: nobody else changes anything until it is committed or given up."""
        with self._database.border(), self._engine.begin() as db:
            next_version = _version.update().values(version=_version.c.version + 1).returning(_version.c.version)
            version = db.execute(next_version).scalar_one()
            yield db, version
            db.execute(_changes.insert().values(version=version, aor=aor))


def _stamp_of(file: Path | None) -> _Stamp | None:
    """Tell one state of an SQLite database from the next: its file, and the log that is written first (WAL).

    None where that cannot be told: there is no such file, or the last write is so young that another may get the same time.
    """
    if file is None:
        return None
    found = []
    for path in (file, file.with_name(f"{file.name}-wal")):
        with suppress(FileNotFoundError):
            seen = path.stat()
            found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
    young = any(time.time_ns() - changed < _YOUNG_NS for _, _, changed in found)
    return None if young else tuple(found)


def _create_tables(database: Database) -> None:
    """Make what is not there yet; several servers may do so at the same time."""
    with database.setting_up() as db:
        for table in _schema.sorted_tables:
            db.execute(CreateTable(table, if_not_exists=True))
    with database.border():
        _add_pool(database.engine)
    with database.border(), suppress(IntegrityError), database.engine.begin() as db:
        db.execute(_version.insert().values(id=1, version=0))


def _add_pool(engine: sql.Engine) -> None:
    """Give the table of an earlier release its column for the home; whoever comes second finds it there."""
    if _has_pool(engine):
        return
    try:
        with engine.begin() as db:
            db.execute(sql.text("ALTER TABLE users ADD COLUMN pool TEXT"))
    except SQLAlchemyError:
        if not _has_pool(engine):
            raise


def _has_pool(engine: sql.Engine) -> bool:
    return any(column["name"] == "pool" for column in sql.inspect(engine).get_columns("users"))


def _hashes(uri: SipUri, password: str, algorithms: Collection[Algorithm], realm: str | None) -> dict[str, str | None]:
    """Compute the columns; an algorithm that the user is not to have is empty."""
    if not password or not algorithms:
        raise _wrong(f"{uri.aor} would have no password", "give a password that is not empty")
    user = user_of(uri.aor)
    return {
        column: ha1(user, realm or uri.domain, password, algorithm) if algorithm in algorithms else None
        for algorithm, column in _COLUMN_OF.items()
    }


def _rows(db: sql.Connection, query: sql.Select[Any]) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in db.execute(query).mappings()]


def _row_of(db: sql.Connection, aor: str) -> Mapping[str, Any]:
    rows = _rows(db, sql.select(_users).where(_users.c.aor == aor))
    if not rows:
        raise _wrong(f"{aor} is not a user", "to list the users: sipmesh user list")
    return rows[0]


def _verifier(row: Mapping[str, Any]) -> Verifier:
    hashes = {algorithm: row[column] for algorithm, column in _COLUMN_OF.items() if row[column]}
    return Verifier(row["aor"], row["generation"], hashes)


def _user(row: Mapping[str, Any]) -> User:
    algorithms = tuple(algorithm for algorithm, column in _COLUMN_OF.items() if row[column])
    return User(row["aor"], algorithms, row["generation"], row["created"], row["pool"])


def _wrong(reason: str, remedy: str) -> OperatorError:
    return OperatorError(f"{reason}; {remedy}")
