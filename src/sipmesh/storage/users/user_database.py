"""The user database: addresses and password hashes, in SQLite by default, in PostgreSQL if a URL says so.

The commands write, running servers read. A server has all users in memory, so that a password check takes the same time for known
and unknown users. It asks the database at intervals for changes (`Users.refresh`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from sipmesh.database.connection import Database
from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier, user_of
from sipmesh.routing.events.watcher_rules import MOST_RULES, NO_RULES, WatcherRules, read_watcher
from sipmesh.routing.identity.alias import alias_keys, folded, read_alias
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.sip.tel import TelUri, is_tel
from sipmesh.sip.text import ascii_lower
from sipmesh.sip.uri import SipUri, normal_escapes
from sipmesh.storage.alias_index import AliasIndex
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.topology.document.watching import Watching

DEFAULT_ALGORITHMS = (Algorithm.SHA_256, Algorithm.MD5)
"""RFC 8760 2.6: the strongest first. MD5 is for browser libraries; MD5 alone is for phones that support nothing else."""


class _Instant(sql.TypeDecorator[datetime]):
    """Times in UTC in every database: SQLite stores no time zone, and PostgreSQL answers in the zone of its settings."""

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
sql.Index("users_folded", sql.func.lower(_users.c.aor))
# One row. Each change updates it first, so that changes cannot overlap, and their numbers rise in the order of commits.
_version = sql.Table(
    "users_version",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("version", sql.BigInteger, nullable=False),
)
# The user of each change. The table only grows, by a few octets for each command of an operator.
_changes = sql.Table(
    "users_changes",
    _schema,
    sql.Column("version", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("aor", sql.Text, nullable=False),
)
_aliases = sql.Table(
    "users_aliases",
    _schema,
    sql.Column("alias", sql.Text, primary_key=True),
    sql.Column("aor", sql.Text, nullable=False, index=True),
    sql.Column("created", _Instant, nullable=False),
)
# The password hashes of disabled users; meanwhile the table of users has random ones, which no password has.
_disabled = sql.Table(
    "users_disabled",
    _schema,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("since", _Instant, nullable=False),
)
# With ON CONFLICT, PostgreSQL would wait for a change that another process is making, and that change for the index.
_FIRST_VERSION = """
INSERT INTO users_version (id, version) SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM users_version)
"""
_POOL_COLUMN = {
    "sqlite": "SELECT 1 FROM pragma_table_info('users') WHERE name = 'pool'",
    "postgresql": (
        "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('users') AND attname = 'pool' AND NOT attisdropped"
    ),
}
"""By dialect, the query that has a row if the table has the column for the home pool."""

_watchers = sql.Table(
    "users_watchers",
    _schema,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("watcher", sql.Text, primary_key=True),
    sql.Column("rule", sql.Text, nullable=False),
)
MOST_ALIASES: Final = 32
"""Aliases of one user: every server of the network has them in memory."""

_COLUMN_OF = {Algorithm.SHA_256: "ha1_sha256", Algorithm.MD5: "ha1_md5"}


@dataclass(frozen=True, slots=True)
class User:
    """One user without hashes; *pool* is the home pool, None for the topology's first front-end pool; *created* is UTC.

    *aliases* are the keys of the user's aliases (`sipmesh.routing.identity.alias`), *watchers* the rules about who may see the
    user's presence (`sipmesh.routing.events.watcher_rules`). *disabled* is the instant from which the user cannot log in, or
    None.
    """

    aor: str
    algorithms: tuple[Algorithm, ...]
    generation: int
    created: datetime
    pool: str | None = None
    aliases: tuple[str, ...] = ()
    watchers: WatcherRules = field(default_factory=dict)
    disabled: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Changes:
    """The *rows* of users changed since the number *since*, 0 for all; *gone* are removed users, *version* the present number."""

    rows: Sequence[dict[str, Any]]
    aliases: AliasIndex
    rules: Mapping[str, WatcherRules]
    gone: frozenset[str]
    version: int
    since: int


_Stamp = tuple[tuple[int, int, int], ...]
_YOUNG_NS = 2_000_000_000  # far above the resolution of any file system's clock


class Users:
    """The users of one organisation."""

    __slots__ = (
        "_alias_index",
        "_database",
        "_engine",
        "_file",
        "_homes",
        "_known",
        "_rules",
        "_seen",
        "_stamp",
        "where",
    )

    def __init__(self, url: str | Path, *, in_memory: bool = True) -> None:
        """Open or create the database; a path means SQLite. Raises `OperatorError` if it cannot be used.

        Logins need all users in memory. Without *in_memory* only the database is asked, which takes the same time however many
        users there are.
        """
        self._database = Database(url, "users")
        self.where, self._engine, self._file = self._database.where, self._database.engine, self._database.file
        self._stamp: _Stamp | None = None
        self._known: dict[str, Verifier] = {}
        self._homes: dict[str, str] = {}
        self._alias_index = AliasIndex()
        self._rules: dict[str, WatcherRules] = {}
        self._seen = 0
        _create_tables(self._database)
        if in_memory:
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
        """Add a user; *aor* may lack its ``sip:``, and *realm* is by default the domain of *aor*.

        *pool* is the home pool, whose name is not checked; None means the default of the topology (`User`).

        The user part is kept in lower case (`folded`). Raises `OperatorError` for an address without user or domain, for an
        existing user or a name that is an alias, and for an empty password.
        """
        uri = _new_address(aor)
        hashes = _hashes(uri, password, algorithms, realm)
        with self._changing(uri.aor) as (db, version):
            if found := _user_like(db, uri.aor):
                raise _wrong(f"{found} exists already", f"to change the password: sipmesh user password {found[4:]}")
            if owner := _owner_of(db, alias_keys(uri.aor)):
                remedy = f"to list the aliases: sipmesh user alias list {owner[4:]}"
                raise _wrong(f"{uri.aor} is an alias of {owner}", remedy)
            row = {"aor": uri.aor, **hashes, "generation": version, "created": datetime.now(UTC), "pool": pool}
            db.execute(_users.insert().values(row))
        return _user(row)

    def set_password(
        self, aor: str, password: str, algorithms: Collection[Algorithm] | None = None, *, realm: str | None = None
    ) -> User:
        """Change a password, and with it the generation; *algorithms* None keeps the present ones.

        Raises `OperatorError` for an unknown or disabled user and for an empty password.
        """
        uri = self._known_address(aor)
        with self._changing(uri.aor) as (db, version):
            stored = _user(_row_of(db, uri.aor))
            if _since(db, uri.aor) is not None:
                raise _wrong(f"{uri.aor} is disabled", f"to enable the user first: sipmesh user enable {uri.aor[4:]}")
            values = {**_hashes(uri, password, algorithms or stored.algorithms, realm), "generation": version}
            db.execute(_users.update().where(_users.c.aor == uri.aor).values(values))
        return _user({**values, "aor": uri.aor, "created": stored.created, "pool": stored.pool})

    def move(self, aor: str, pool: str) -> User:
        """Give a user another home pool and a new generation, which makes logins on existing links invalid.

        Raises `OperatorError` for an unknown user.
        """
        uri = self._known_address(aor)
        with self._changing(uri.aor) as (db, version):
            row = _row_of(db, uri.aor)
            values = {"pool": pool, "generation": version}
            db.execute(_users.update().where(_users.c.aor == uri.aor).values(values))
        return _user({**row, **values})

    def disable(self, aor: str, at: datetime) -> User:
        """Keep a user from logging in, from the instant *at*, and make logins on existing links invalid.

        The hashes of the password are kept aside, and random ones take their place. Servers and documents need to know nothing
        of it: they refuse the user as they refuse a wrong password. Raises `OperatorError` for an unknown or disabled user.
        """
        uri = self._known_address(aor)
        with self._changing(uri.aor) as (db, version):
            row = _row_of(db, uri.aor)
            if _since(db, uri.aor) is not None:
                raise _wrong(f"{uri.aor} is disabled already", f"to enable the user: sipmesh user enable {uri.aor[4:]}")
            kept = {column: row[column] for column in _COLUMN_OF.values()}
            db.execute(_disabled.insert().values(aor=uri.aor, since=at, **kept))
            values = {**_unknown_hashes(kept), "generation": version}
            db.execute(_users.update().where(_users.c.aor == uri.aor).values(values))
        return _user({**row, **values})

    def enable(self, aor: str) -> User:
        """Let a disabled user log in again, with the password from before; raises `OperatorError` for any other user."""
        uri = self._known_address(aor)
        with self._changing(uri.aor) as (db, version):
            row = _row_of(db, uri.aor)
            kept = _rows(db, sql.select(_disabled).where(_disabled.c.aor == uri.aor))
            if not kept:
                raise _wrong(f"{uri.aor} is not disabled", "to list the users: sipmesh user list")
            db.execute(_disabled.delete().where(_disabled.c.aor == uri.aor))
            values = {**{column: kept[0][column] for column in _COLUMN_OF.values()}, "generation": version}
            db.execute(_users.update().where(_users.c.aor == uri.aor).values(values))
        return _user({**row, **values})

    def remove(self, aor: str) -> None:
        """Remove a user with all aliases and rules; raises `OperatorError` for an unknown user."""
        uri = self._known_address(aor)
        with self._changing(uri.aor) as (db, _):
            _row_of(db, uri.aor)
            for table in (_aliases, _watchers, _disabled):
                db.execute(table.delete().where(table.c.aor == uri.aor))
            db.execute(_users.delete().where(_users.c.aor == uri.aor))

    def add_alias(self, aor: str, alias: str) -> str:
        """Give a user an alias, and return its key; the password stays valid, and so do live links.

        Raises `OperatorError` for an unknown user, for text that is no alias (`read_alias`), for an alias that is the name or
        the alias of a user, and above `MOST_ALIASES`.
        """
        uri = self._known_address(aor)
        key = read_alias(alias, uri.domain)
        with self._changing(uri.aor) as (db, _):
            _row_of(db, uri.aor)
            if found := _user_like(db, key) or _user_of_number(db, key) or _owner_of(db, (key,)):
                raise _wrong(f"{key} is already a name of {found}", f"to see it: sipmesh explain {found[4:]}")
            if len(_aliases_of(db, uri.aor)) >= MOST_ALIASES:
                remedy = f"to remove one: sipmesh user alias remove {uri.aor[4:]} ALIAS"
                raise _wrong(f"{uri.aor} has {MOST_ALIASES} aliases, which is the limit", remedy)
            db.execute(_aliases.insert().values(alias=key, aor=uri.aor, created=datetime.now(UTC)))
        return key

    def remove_alias(self, aor: str, alias: str) -> str:
        """Take an alias from a user, and return its key; raises `OperatorError` if it is not an alias of this user."""
        uri = self._known_address(aor)
        key = read_alias(alias, uri.domain)
        with self._changing(uri.aor) as (db, _):
            _row_of(db, uri.aor)
            taken = _aliases.delete().where(_aliases.c.alias == key, _aliases.c.aor == uri.aor)
            if not db.execute(taken).rowcount:
                raise _wrong(
                    f"{key} is not an alias of {uri.aor}", f"to list them: sipmesh user alias list {uri.aor[4:]}"
                )
        return key

    def set_watcher(self, aor: str, watcher: str, rule: Watching) -> str:
        """Say what *watcher* may see of the presence of a user, and return the key of the watcher (`read_watcher`).

        Raises `OperatorError` for an unknown user, for text that is no watcher, and above `MOST_RULES`.
        """
        uri = self._known_address(aor)
        key = read_watcher(watcher, uri.domain)
        with self._changing(uri.aor) as (db, _):
            _row_of(db, uri.aor)
            db.execute(_watchers.delete().where(_watchers.c.aor == uri.aor, _watchers.c.watcher == key))
            if (
                len(_rules_in(db, sql.select(_watchers).where(_watchers.c.aor == uri.aor)).get(uri.aor, ()))
                >= MOST_RULES
            ):
                remedy = f"to remove one: sipmesh user presence remove {uri.aor[4:]} WATCHER"
                raise _wrong(f"{uri.aor} has {MOST_RULES} rules, which is the limit", remedy)
            db.execute(_watchers.insert().values(aor=uri.aor, watcher=key, rule=str(rule)))
        return key

    def remove_watcher(self, aor: str, watcher: str) -> str:
        """Remove a rule, and return the key of its watcher; raises `OperatorError` if there is none."""
        uri = self._known_address(aor)
        key = read_watcher(watcher, uri.domain)
        with self._changing(uri.aor) as (db, _):
            _row_of(db, uri.aor)
            removed = _watchers.delete().where(_watchers.c.aor == uri.aor, _watchers.c.watcher == key)
            if not db.execute(removed).rowcount:
                remedy = f"to list the rules: sipmesh user presence list {uri.aor[4:]}"
                raise _wrong(f"{uri.aor} has no rule for {key.removeprefix('sip:')}", remedy)
        return key

    def get(self, aor: str) -> User:
        """Return one user as the database has it now; raises `OperatorError` for an unknown user."""
        uri = self._known_address(aor)
        with self._database.border(), self._engine.connect() as db:
            rules = _rules_in(db, sql.select(_watchers).where(_watchers.c.aor == uri.aor))
            known = _aliases_of(db, uri.aor), rules.get(uri.aor, NO_RULES), _since(db, uri.aor)
            return _user(_row_of(db, uri.aor), *known)

    def list(self) -> Sequence[User]:
        """Return all users as the database has them now, ordered by address."""
        with self._database.border(), self._engine.connect() as db:
            aliases, rules = _index(db, sql.select(_aliases)), _rules_in(db, sql.select(_watchers))
            rows = _rows(db, sql.select(_users).order_by(_users.c.aor))
            since = {row["aor"]: row["since"] for row in _rows(db, sql.select(_disabled))}
            found = ((row["aor"], row) for row in rows)
            return [_user(row, aliases.of(aor), rules.get(aor, NO_RULES), since.get(aor)) for aor, row in found]

    def page(self, after: str, most: int) -> tuple[Sequence[User], int]:
        """Return at most *most* users whose address is above *after*, ordered by address, and how many users there are."""
        with self._database.border(), self._engine.connect() as db:
            rows = _rows(db, sql.select(_users).where(_users.c.aor > after).order_by(_users.c.aor).limit(most))
            names = [row["aor"] for row in rows]
            aliases = _index(db, sql.select(_aliases).where(_aliases.c.aor.in_(names)))
            since = _rows(db, sql.select(_disabled).where(_disabled.c.aor.in_(names)))
            total = db.execute(sql.select(sql.func.count()).select_from(_users)).scalar_one()
        ends = {row["aor"]: row["since"] for row in since}
        return [_user(row, aliases.of(row["aor"]), disabled=ends.get(row["aor"])) for row in rows], int(total)

    def documents(self, organisation: str, pool: str, otherwise: str, *, since: int = 0) -> Sequence[bytes]:
        """Return what the servers of *pool* have to know of all users, as payloads to sign; each payload is one part.

        First, users without a home pool get *otherwise* permanently, so that a number always means the same content. *since* is
        the number that the servers have: the result contains only later changes, and is empty if there are none. If the changes
        are not known, as after a restore, it contains all users. Takes about a second for 100,000 users.
        """
        found = self._changed_since(since, otherwise)
        rows, aliases, version = found.rows, found.aliases, found.version
        if version == since or not version:
            return []
        ours = [row for row in rows if row["pool"] == pool]
        roster = UserDocument(
            organisation,
            pool,
            version,
            found.since,
            verifiers={row["aor"]: _verifier(row) for row in ours},
            homes={row["aor"]: row["pool"] for row in rows if row["pool"] != pool},
            gone=found.gone,
            aliases={row["aor"]: keys for row in rows if (keys := aliases.of(row["aor"]))},
            watchers={row["aor"]: rules for row in ours if (rules := found.rules.get(row["aor"]))},
        )
        return [part.encode() for part in roster.divided()]

    def _changed_since(self, since: int, otherwise: str) -> _Changes:
        """Return what has changed since a number.

        The version is written first, as in every change: so no change happens until everything has been read.
        """
        with self._database.border(), self._engine.begin() as db:
            same = _version.update().values(version=_version.c.version).returning(_version.c.version)
            version: int = db.execute(same).scalar_one()
            db.execute(_users.update().where(_users.c.pool.is_(None)).values(pool=otherwise))
            changes = sql.select(_changes.c.aor).where(_changes.c.version > since)
            changed = list(db.execute(changes).scalars())
            if not since or len(changed) != version - since:
                rows = _rows(db, sql.select(_users).order_by(_users.c.aor))
                aliases, rules = _index(db, sql.select(_aliases)), _rules_in(db, sql.select(_watchers))
                return _Changes(rows, aliases, rules, frozenset(), version, 0)
            rows = _rows(db, sql.select(_users).where(_users.c.aor.in_(changes)).order_by(_users.c.aor))
            aliases = _index(db, sql.select(_aliases).where(_aliases.c.aor.in_(changes)))
            rules = _rules_in(db, sql.select(_watchers).where(_watchers.c.aor.in_(changes)))
            return _Changes(rows, aliases, rules, frozenset(changed) - {row["aor"] for row in rows}, version, since)

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the home pools of users ("" for users without one), and the domains of their addresses."""
        domains = {aor.rpartition("@")[2] for aor in list(self._known)}  # a copy: another thread may refresh meanwhile
        return frozenset(self._homes.values()), frozenset(domains)

    @property
    def ready(self) -> bool:
        """True: the users are read when the database is opened."""
        return True

    @property
    def number(self) -> int:
        """The version of the users, as of the last `refresh`."""
        return self._seen

    @property
    def size(self) -> int:
        """How many users there are, as of the last `refresh`."""
        return len(self._known)

    def copy_to(self, other: Users) -> int:
        """Copy everything into a database without users; returns the number of users.

        Raises `OperatorError` if *other* has users, or if one of the databases cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            db.execute(_version.update().values(version=_version.c.version))  # so that no change happens meanwhile
            tables = (_users, _aliases, _watchers, _disabled, _changes, _version)
            found = {table: _rows(db, sql.select(table)) for table in tables}
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
        """Raise the number of the users by *by*, so that no number from before a restore is used again; returns it.

        Raises `OperatorError` if the database cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            jumped = _version.update().values(version=_version.c.version + by).returning(_version.c.version)
            return int(db.execute(jumped).scalar_one())

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor* from memory, as of the last `refresh`; None for an unknown user."""
        return self._known.get(aor)

    def is_withheld(self, aor: str) -> bool:  # noqa: ARG002 - the method of `ReplicatedUsers`
        """Return False: the database is the origin of what is known."""
        return False

    def home(self, aor: str) -> str | None:
        """Return the home pool of *aor* as of the last `refresh`, "" if none is set.

        None for an unknown user.
        """
        return self._homes.get(aor, "") if aor in self._known else None

    def owner(self, alias: str) -> str:
        """Return the user of *alias* as of the last `refresh`, "" if it is nobody's."""
        return self._alias_index.owner(alias)

    def aliases(self, aor: str) -> Sequence[str]:
        """Return the aliases of *aor* as of the last `refresh`."""
        return self._alias_index.of(aor)

    def watcher_rules(self, aor: str) -> WatcherRules:
        """Return the rules about who may see the presence of *aor* as of the last `refresh`."""
        return self._rules.get(aor, NO_RULES)

    def refresh(self) -> frozenset[str]:
        """Read what others have changed; returns the addresses of record that were added, changed or removed.

        A login of such a user on a live link is valid only if it has the generation that `verifier` returns now. Blocks until
        the database answers. If an SQLite file has not been written, this only looks at the file; otherwise, without a change,
        it takes one small query.
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
            aliases = _index(db, sql.select(_aliases).where(_aliases.c.aor.in_(since)))
            rules = _rules_in(db, sql.select(_watchers).where(_watchers.c.aor.in_(since)))
        self._replace(changed, rows, aliases, rules, version)
        return changed

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _replace(
        self,
        changed: AbstractSet[str],
        rows: Sequence[Mapping[str, Any]],
        aliases: AliasIndex,
        rules: Mapping[str, WatcherRules],
        version: int,
    ) -> None:
        """Replace the known users among *changed*; a reader in another thread may run between any two of the steps."""
        self._homes.update({row["aor"]: row["pool"] or "" for row in rows})
        self._known.update({row["aor"]: _verifier(row) for row in rows})
        for aor in changed - {row["aor"] for row in rows}:
            self._known.pop(aor, None)
            self._homes.pop(aor, None)
        for aor in (*changed, *aliases.users()):
            self._alias_index.put(aor, aliases.of(aor))
        for aor in changed - rules.keys():
            self._rules.pop(aor, None)
        self._rules.update(rules)
        self._seen = version

    def _load(self) -> None:
        with self._engine.connect() as db:
            version = db.execute(sql.select(_version.c.version)).scalar_one()
            rows, aliases = _rows(db, sql.select(_users)), _index(db, sql.select(_aliases))
            rules = _rules_in(db, sql.select(_watchers))
        self._replace(frozenset(), rows, aliases, rules, version)

    def _known_address(self, aor: str) -> SipUri:
        """Parse the address of a user; if there is none, of the user whose address differs in the case of its letters."""
        uri = read_address(aor)
        with self._database.border(), self._engine.connect() as db:
            exists = db.execute(sql.select(_users.c.aor).where(_users.c.aor == uri.aor)).first()
            found = "" if exists else _user_like(db, uri.aor)
        return read_address(found) if found else uri

    @contextmanager
    def _changing(self, aor: str) -> Iterator[tuple[sql.Connection, int]]:
        """Start a change of one user: other changes wait until it is committed or rolled back."""
        with self._database.border(), self._engine.begin() as db:
            next_version = _version.update().values(version=_version.c.version + 1).returning(_version.c.version)
            version = db.execute(next_version).scalar_one()
            yield db, version
            db.execute(_changes.insert().values(version=version, aor=aor))


def _stamp_of(file: Path | None) -> _Stamp | None:
    """Return a stamp of an SQLite database: of its file, and of its write-ahead log (WAL).

    None if there is no file, or if the last write is so recent that another write may get the same time.
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
    """Create missing tables; several servers may do so at the same time."""
    with database.setting_up(_schema) as db:
        _add_pool(db)
        db.exec_driver_sql(_FIRST_VERSION)


def _add_pool(db: sql.Connection) -> None:
    """Add the column for the home pool to the table of an earlier release; with SQLite another process may do so as well."""
    if _has_pool(db):
        return
    try:
        db.exec_driver_sql("ALTER TABLE users ADD COLUMN pool TEXT")
    except SQLAlchemyError:
        if not _has_pool(db):
            raise


def _has_pool(db: sql.Connection) -> bool:
    return db.exec_driver_sql(_POOL_COLUMN[db.dialect.name]).first() is not None


def _hashes(uri: SipUri, password: str, algorithms: Collection[Algorithm], realm: str | None) -> dict[str, str | None]:
    """Compute the hash columns; the column of an algorithm that is not used is None."""
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


def _new_address(aor: str) -> SipUri:
    uri = read_address(aor)
    return uri if uri.user is None else replace(uri, user=ascii_lower(normal_escapes(uri.user)))


def _user_like(db: sql.Connection, aor: str) -> str:
    """Return the user whose address differs from *aor* in the case of its letters at most, "" if there is none."""
    same = sql.func.lower(_users.c.aor) == folded(aor)
    return str(db.execute(sql.select(_users.c.aor).where(same)).scalar() or "")


def _user_of_number(db: sql.Connection, key: str) -> str:
    """Return the user whose own name is the telephone number *key*, "" if there is none.

    Only a name that begins with a digit or ``+`` can be one (`alias_keys`).
    """
    if not is_tel(key):
        return ""
    number = TelUri.parse(key)
    named = sql.select(_users.c.aor).where(_users.c.aor.like(f"sip:{number.number[0]}%"))
    return next((aor for aor in db.execute(named).scalars() if key in alias_keys(aor)), "")


def _owner_of(db: sql.Connection, keys: Collection[str]) -> str:
    """Return the user who has one of *keys* as an alias, "" if nobody has."""
    return str(db.execute(sql.select(_aliases.c.aor).where(_aliases.c.alias.in_(keys))).scalar() or "")


def _aliases_of(db: sql.Connection, aor: str) -> Sequence[str]:
    return _index(db, sql.select(_aliases).where(_aliases.c.aor == aor)).of(aor)


def _index(db: sql.Connection, query: sql.Select[Any]) -> AliasIndex:
    found: dict[str, list[str]] = {}
    for row in _rows(db, query):
        found.setdefault(row["aor"], []).append(row["alias"])
    index = AliasIndex()
    for aor, keys in found.items():
        index.put(aor, keys)
    return index


def _rules_in(db: sql.Connection, query: sql.Select[Any]) -> dict[str, WatcherRules]:
    """Return the rules of each user. A rule of a later release that we do not know blocks."""
    known, found = {str(rule): rule for rule in Watching}, dict[str, dict[str, Watching]]()
    for row in _rows(db, query):
        found.setdefault(row["aor"], {})[row["watcher"]] = known.get(row["rule"], Watching.BLOCK)
    return {aor: dict(sorted(rules.items())) for aor, rules in found.items()}


def _verifier(row: Mapping[str, Any]) -> Verifier:
    hashes = {algorithm: row[column] for algorithm, column in _COLUMN_OF.items() if row[column]}
    return Verifier(row["aor"], row["generation"], hashes)


def _user(
    row: Mapping[str, Any],
    aliases: Iterable[str] = (),
    watchers: WatcherRules = NO_RULES,
    disabled: datetime | None = None,
) -> User:
    algorithms = tuple(algorithm for algorithm, column in _COLUMN_OF.items() if row[column])
    account = row["aor"], algorithms, row["generation"], row["created"], row["pool"]
    return User(*account, tuple(aliases), watchers, disabled)


def _since(db: sql.Connection, aor: str) -> datetime | None:
    """Return since when a user is disabled, None for others."""
    found = _rows(db, sql.select(_disabled.c.since).where(_disabled.c.aor == aor))
    return found[0]["since"] if found else None


def _unknown_hashes(known: Mapping[str, str | None]) -> dict[str, str | None]:
    """Make random hashes of the same lengths: H(A1) that is known to nobody, so that no response can be computed."""
    return {column: secrets.token_hex(len(ha1) // 2) if ha1 else None for column, ha1 in known.items()}


def _wrong(reason: str, remedy: str) -> OperatorError:
    return OperatorError(f"{reason}; {remedy}")
