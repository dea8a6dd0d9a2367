"""The user database: addresses and password hashes, in SQLite by default, in PostgreSQL if a URL says so.

The commands write, running servers read. A server has all users in memory, so that a password check takes the same time for known
and unknown users. It asks the database at intervals for changes (`Users.refresh`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from sipmesh.database import schema
from sipmesh.database.connection import Database
from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.database.number_ceilings import USERS_NUMBERS
from sipmesh.routing.events.watcher_rules import NO_RULES, WatcherRules, read_watcher
from sipmesh.routing.identity.alias import alias_keys, read_alias
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.text import ascii_lower
from sipmesh.sip.uri import SipUri, normal_escapes
from sipmesh.storage.seen_users import GO_ON, SeenUsers
from sipmesh.storage.users import alias_rows, watcher_rows
from sipmesh.storage.users.call_rule_rows import call_rules_in, must_be_no_group
from sipmesh.storage.users.contact_rows import remove_contacts
from sipmesh.storage.users.database_stamp import Stamp, stamp_of
from sipmesh.storage.users.device_rows import copied_tables, remove_devices
from sipmesh.storage.users.disabled_rows import disable_rows, enable_rows
from sipmesh.storage.users.known_users import KnownUsers
from sipmesh.storage.users.logout_rows import add_logout
from sipmesh.storage.users.password_hashes import DEFAULT_ALGORITHMS, password_hashes
from sipmesh.storage.users.stored_users import StoredUsers
from sipmesh.storage.users.user_changes import changes_since
from sipmesh.storage.users.user_names import remove_user
from sipmesh.storage.users.user_rows import (
    alias_index,
    aliases_of,
    backups_in,
    disabled_since,
    names_key_in,
    owner_of,
    row_of,
    rows_of,
    rules_in,
    user_from,
    user_like,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.sip.digest import Algorithm
    from sipmesh.storage.users import user_list
    from sipmesh.storage.users import user_tables as tables
    from sipmesh.storage.users.user import User
    from sipmesh.storage.users.user_list import UserPage, UsersWanted
    from sipmesh.topology.document.watching import Watching
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")
    user_list = LazyModule("sipmesh.storage.users.user_list")


Named = Callable[["sql.Connection", str], str]
"""Gives the key of a watcher that counts for the key that was written."""


def _as_written(_db: sql.Connection, key: str) -> str:
    return key


class Users:
    """The users of one organisation."""

    __slots__ = (
        "_database",
        "_engine",
        "_file",
        "_known",
        "_seen",
        "_stamp",
        "alike",
        "home",
        "kind",
        "older",
        "unusable",
        "verifier",
        "where",
    )

    def __init__(self, url: str | Path, *, in_memory: bool = True, seen: SeenUsers | None = None) -> None:
        """Open or create the database; a path means SQLite. Raises `OperatorError` if it cannot be used.

        Logins need all users in memory. Without *in_memory* only the database is asked, which takes the same time for
        any number of users. With *seen*, what a management host has seen of it, `older` says why the database is not
        used.
        """
        self._seen, self.older = seen, ""
        self._database = Database(url, "users")
        self.where, self._engine, self._file = self._database.where, self._database.engine, self._database.file
        self._stamp: Stamp | None = None
        self._known = KnownUsers()
        self.home, self.verifier = self._known.home, self._known.verifier  # without a frame of ours: often asked
        self.alike, self.kind = self._known.sets.alike, self._known.kind
        self.unusable: Mapping[str, str] = {}  # rows that the last documents do not have: why, by address
        beside = (schema.DIRECTORY, schema.LOGOUTS, schema.SCIM, schema.CONTACTS, schema.TICKETS)
        for needed in (schema.USERS, schema.DEVICES, *beside):
            self._database.migrate(needed)
        if in_memory:
            with self._database.border():
                self._load()

    def add(
        self,
        aor: str,
        password: str,
        algorithms: Collection[Algorithm] = DEFAULT_ALGORITHMS,
        *,
        realm: str | None = None,
        pool: str | None = None,
        then: Callable[[sql.Connection, SipUri], object] | None = None,
    ) -> User:
        """Add a user; *aor* may lack its ``sip:``, and *realm* is by default the domain of *aor*.

        *pool* is the home pool, whose name is not checked; None means the default of the topology (`User`). *then* changes
        more in the same transaction; if it raises an error, no user is added.

        The user part is kept in lower case (`folded`). Raises `OperatorError` for an address without user or domain, for an
        existing user or a name that is an alias, and for an empty password.
        """
        uri = _new_address(aor)
        hashes = password_hashes(uri, password, algorithms, realm)
        with self.changing(uri.aor) as (db, version):
            if found := user_like(db, uri.aor):
                group = call_rules_in(row_of(db, found)).is_group
                change = (
                    "change the group: sipmesh group set" if group else "change the password: sipmesh user password"
                )
                raise wrong(f"{found} exists already", f"to {change} {found[4:]}")
            if owner := owner_of(db, alias_keys(uri.aor)):
                remedy = f"to list the aliases: sipmesh user alias list {owner[4:]}"
                raise wrong(f"{uri.aor} is an alias of {owner}", remedy)
            row = {"aor": uri.aor, **hashes, "generation": version, "created": datetime.now(UTC), "pool": pool}
            db.execute(tables.USERS.insert().values(row))
            remove_devices(db, uri.aor)  # of an earlier user, whom a release without devices has removed
            remove_contacts(db, uri.aor)
            if then is not None:
                then(db, uri)
        return user_from(row)

    def set_password(
        self, aor: str, password: str, algorithms: Collection[Algorithm] | None = None, *, realm: str | None = None
    ) -> User:
        """Change a password, and with it the generation; *algorithms* None keeps the present algorithms.

        Raises `OperatorError` for an unknown or disabled user and for an empty password.
        """
        uri = self.known_address(aor)
        with self.changing(uri.aor) as (db, version):
            row = row_of(db, uri.aor)
            must_be_no_group(row)
            stored = user_from(row)
            if disabled_since(db, uri.aor) is not None:
                raise wrong(f"{uri.aor} is disabled", f"to enable the user first: sipmesh user enable {uri.aor[4:]}")
            values = {**password_hashes(uri, password, algorithms or stored.algorithms, realm), "generation": version}
            db.execute(tables.USERS.update().where(tables.USERS.c.aor == uri.aor).values(values))
        return user_from({**values, "aor": uri.aor, "created": stored.created, "pool": stored.pool})

    def move(self, aor: str, pool: str) -> User:
        """Give a user another home pool and a new generation, which makes logins on existing links invalid.

        Raises `OperatorError` for an unknown user.
        """
        uri = self.known_address(aor)
        with self.changing(uri.aor) as (db, version):
            row = row_of(db, uri.aor)
            values = {"pool": pool, "generation": version}
            db.execute(tables.USERS.update().where(tables.USERS.c.aor == uri.aor).values(values))
        return user_from({**row, **values})

    def disable(self, aor: str, at: datetime, note: Callable[[], object] = lambda: None) -> User:
        """Keep a user from logging in, from the instant *at*, and make logins on existing links invalid.

        The hashes of the password are kept aside, and random hashes take their place. Servers and documents need to
        know nothing of it: they refuse the user as they refuse a wrong password. Open invitations are revoked, and the
        servers get no passwords of the devices (`device_rows`). If *note* raises, nothing is changed. Raises
        `OperatorError` for an unknown or disabled user.
        """
        uri = self.known_address(aor)
        with self.changing(uri.aor) as (db, version):
            disabled = user_from(disable_rows(db, uri.aor, at, version))
            note()
        return disabled

    def enable(self, aor: str) -> User:
        """Let a disabled user log in again, with the password from before; raises `OperatorError` for any other user."""
        uri = self.known_address(aor)
        with self.changing(uri.aor) as (db, version):
            return user_from(enable_rows(db, uri.aor, version))

    def end_tokens(self, aor: str, session: str, at: int) -> str:
        """End access tokens of a user (`logout_rows.add_logout`), and return the address; raises `OperatorError` as that does."""
        uri = self.known_address(aor)
        with self.changing(uri.aor) as (db, _):
            add_logout(db, uri.aor, session, at)
        return uri.aor

    def remove(self, aor: str, note: Callable[[], object] = lambda: None) -> None:
        """Remove a user, and all that names the user (`remove_user`); raises `OperatorError` for an unknown user.

        If *note* raises, nothing is changed.
        """
        uri = self.known_address(aor)
        with self.changing(uri.aor) as (db, _):
            row_of(db, uri.aor)
            remove_user(db, uri.aor)
            note()

    def add_alias(self, aor: str, alias: str) -> str:
        """Give a user an alias, and return its key; the password stays valid, and so do live links.

        Raises `OperatorError` for an unknown user, for text that is no alias (`read_alias`), for an alias that is the name or
        the alias of a user, and above `MOST_ALIASES`.
        """
        uri = self.known_address(aor)
        key = read_alias(alias, uri.domain)
        with self.changing(uri.aor) as (db, _):
            alias_rows.add_alias(db, uri.aor, key)
        return key

    def remove_alias(self, aor: str, alias: str) -> str:
        """Take an alias from a user, and return its key; raises `OperatorError` if it is not an alias of this user."""
        uri = self.known_address(aor)
        key = read_alias(alias, uri.domain)
        with self.changing(uri.aor) as (db, _):
            alias_rows.remove_alias(db, uri.aor, key)
        return key

    def set_watcher(self, aor: str, watcher: str, rule: Watching, named: Named = _as_written) -> str:
        """Say what *watcher* may see of the presence of a user, and return the key of the watcher (`read_watcher`).

        *named* gives the key that counts in place of the written one, in the same transaction (`named_watcher`).
        Raises `OperatorError` for an unknown user, for text that is no watcher, and above `MOST_RULES`.
        """
        uri = self.known_address(aor)
        key = read_watcher(watcher, uri.domain)
        with self.changing(uri.aor) as (db, _):
            key = named(db, key)
            watcher_rows.set_rule(db, uri.aor, key, rule)
        return key

    def remove_watcher(self, aor: str, watcher: str, named: Named = _as_written) -> str:
        """Remove a rule, and return the key of its watcher; *named* is as in `set_watcher`.

        Raises `OperatorError` if there is none.
        """
        uri = self.known_address(aor)
        key = read_watcher(watcher, uri.domain)
        with self.changing(uri.aor) as (db, _):
            key = named(db, key)
            watcher_rows.remove_rule(db, uri.aor, key)
        return key

    def get(self, aor: str) -> User:
        """Return one user as the database has it now; raises `OperatorError` for an unknown user."""
        uri = self.known_address(aor)
        with self._database.border(), self._engine.connect() as db:
            rules = rules_in(db, sql.select(tables.WATCHERS).where(tables.WATCHERS.c.aor == uri.aor))
            known = aliases_of(db, uri.aor), rules.get(uri.aor, NO_RULES), disabled_since(db, uri.aor)
            row = row_of(db, uri.aor)
            return user_from(row, *known, call_rules_in(row))

    def group(self, aor: str) -> User:
        """Return one group as the database has it now; raises `OperatorError` for what is no group."""
        address = self.known_address(aor).aor
        with self._database.border(), self._engine.connect() as db:
            rows = rows_of(db, sql.select(tables.USERS).where(tables.USERS.c.aor == address))
        if not any(call_rules_in(row).is_group for row in rows):
            raise wrong(f"{address} is not a group", "to list the groups: sipmesh group list")
        return self.get(address)

    def list(self) -> Sequence[User]:
        """Return all users as the database has them now, ordered by address."""
        with self._database.border(), self._engine.connect() as db:
            aliases, rules = alias_index(db, sql.select(tables.ALIASES)), rules_in(db, sql.select(tables.WATCHERS))
            rows = rows_of(db, sql.select(tables.USERS).order_by(tables.USERS.c.aor))
            since = {row["aor"]: row["since"] for row in rows_of(db, sql.select(tables.DISABLED))}
            found = ((row["aor"], row) for row in rows)
            return [
                user_from(row, aliases.of(aor), rules.get(aor, NO_RULES), since.get(aor), call_rules_in(row))
                for aor, row in found
            ]

    def page(self, wanted: UsersWanted) -> UserPage:
        """Return some of the users as the database has them now."""
        with self._database.border(), self._engine.connect() as db:
            return user_list.read_page(db, wanted)

    def documents(self, organisation: str, pool: str, otherwise: str, *, since: int = 0) -> Sequence[bytes]:
        """Return what the servers of *pool* have to know of all users, as payloads to sign; each payload is one part.

        First, users without a home pool get *otherwise* permanently, so that a number always means the same content. *since* is
        the number that the servers have: the result contains only later changes, and is empty if there are none. If the changes
        are not known, as after a restore, it contains all users. Takes about a second for 100,000 users. A row that no server
        could read is passed over: `unusable` has it then.
        """
        with self._database.border(), self._engine.begin() as db:
            found = changes_since(db, since, otherwise)
            self._must_count(db)
        self.unusable = found.unusable
        return [] if found.version in {0, since} else found.documents(organisation, pool)

    def set_backups(self, backups: Mapping[str, str]) -> None:
        """Record the backup pool of each pool that has one; after a change, every server gets all users again.

        The verifiers that a pool gets depend on it, and a number of the users always means the same content. So a change raises
        the number, and is the change of no single user. Raises `OperatorError` if the database cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            tables.raise_number(db, 0, self.number)  # so that no change happens meanwhile
            self._must_count(db)
            if backups_in(db) == backups:
                return
            db.execute(tables.BACKUPS.delete())
            if backups:
                db.execute(
                    tables.BACKUPS.insert(), [{"pool": pool, "backup": backup} for pool, backup in backups.items()]
                )
            tables.raise_number(db, 1, self.number)

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the home pools of users ("" for users without one), and the domains of their addresses."""
        return self._known.places()

    @property
    def ready(self) -> bool:
        """True: the users are read when the database is opened."""
        return True

    @property
    def number(self) -> int:
        """The version of the users, as of the last `refresh`."""
        return self._known.number

    @property
    def names_key(self) -> str:
        """The key of the organisation for unknown names, in hexadecimal; "" if there is none."""
        return self._known.names_key

    @property
    def size(self) -> int:
        """How many users there are, as of the last `refresh`."""
        return len(self._known)

    def copy_to(self, other: Users) -> int:
        """Copy everything into a database without users; returns the number of users.

        Raises `OperatorError` if *other* has users, or if one of the databases cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            # so that no change happens meanwhile
            db.execute(tables.VERSION.update().values(version=tables.VERSION.c.version))
            found = {table: rows_of(db, sql.select(table)) for table in copied_tables()}
        with other._database.border(), other._engine.begin() as db:
            db.execute(tables.VERSION.update().values(version=tables.VERSION.c.version))
            if db.execute(sql.select(tables.USERS.c.aor).limit(1)).first():
                raise wrong(f"the database already has users: {other.where}", "import into an empty database")
            for table, rows in found.items():
                db.execute(table.delete())
                if rows:
                    db.execute(table.insert(), rows)
        return len(found[tables.USERS])

    def jump(self, by: int) -> int:
        """Raise the number of the users by *by*, so that no number from before a restore is used again; returns it.

        Raises `OperatorError` if the database cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            return tables.raise_number(db, by, self.number)

    def overtake(self) -> int:
        """Raise the number of the users above all that servers can have accepted by now from any signer; returns it.

        Every server gets all users again. Raises `OperatorError` if the database cannot be used.
        """
        with self._database.border(), self._engine.begin() as db:
            number = tables.raise_number(db, 0, self.number)
            number = tables.raise_number(db, max(1, USERS_NUMBERS.at(datetime.now(UTC)) - number), number)
        if self._seen is not None:
            self._seen.accept(number)
        return number

    def is_withheld(self, aor: str) -> bool:  # noqa: ARG002 - the method of `ReplicatedUsers`
        """Return False: the database is the origin of what is known."""
        return False

    def unknown(self, aors: frozenset[str]) -> frozenset[str]:
        """Return those of *aors* who are no users as of the last `refresh`."""
        return self._known.unknown(aors)

    def owner(self, alias: str) -> str:
        """Return the user of *alias* as of the last `refresh`, "" if no user has it."""
        return self._known.owner(alias)

    def aliases(self, aor: str) -> Sequence[str]:
        """Return the aliases of *aor* as of the last `refresh`."""
        return self._known.aliases(aor)

    def watcher_rules(self, aor: str) -> WatcherRules:
        """Return the rules about who may see the presence of *aor* as of the last `refresh`."""
        return self._known.watcher_rules(aor)

    def matching(self, word: str, domains: Iterable[str]) -> Iterator[str]:
        """Return the users whose name or alias contains *word*, as of the last `refresh`."""
        return self._known.matching(word, domains)

    def call_rules(self, aor: str) -> CallRules | None:
        """Return the rules of the calls of *aor* as of the last `refresh`, None if there are none."""
        return self._known.call_rules(aor)

    def bosses(self, delegate: str) -> frozenset[str]:
        """Return the users who have named *delegate* as of the last `refresh`."""
        return self._known.bosses(delegate)

    def refresh(self) -> frozenset[str]:
        """Read what others have changed; returns the addresses of record that were added, changed or removed.

        A login of such a user on a live link is valid only if it has the generation that `verifier` returns now. Blocks until
        the database answers. If an SQLite file has not been written, this only looks at the file; otherwise, without a change,
        it takes one small query.
        """
        stamp = stamp_of(self._file)
        if stamp is not None and stamp == self._stamp:
            return frozenset()
        changed = self._changed()
        self._stamp = stamp
        return changed

    def _changed(self) -> frozenset[str]:
        with self._database.border(), self._engine.connect() as db:
            version = tables.number_in(db, self.number)
            was_older, self.older = self.older, self._why_older(db, version)
            if self.older or (version == self._known.number and not was_older):
                return frozenset()
            if was_older:
                self._load()  # the database may have gone another way since
                return frozenset()
            since = sql.select(tables.CHANGES.c.aor).where(
                tables.CHANGES.c.version > self._known.number, tables.CHANGES.c.version <= version
            )
            changed = frozenset(db.execute(since).scalars())
            stored = StoredUsers.read(db, since)  # by a subquery: a query takes 65,535 values at most
            self._saw(db, version)
            names_key = names_key_in(db)
        self._known.replace(changed, stored, version, names_key)
        return changed

    def _why_older(self, db: sql.Connection, number: int) -> str:
        return self._seen.why_older(number, partial(tables.changed_by, db)) if self._seen is not None else ""

    def _saw(self, db: sql.Connection, number: int) -> None:
        if self._seen is not None:
            self._seen.saw(number, partial(tables.changed_by, db))

    def _must_count(self, db: sql.Connection) -> None:
        """Raise `OperatorError` if the database is older than what this host has seen of it."""
        if why := self._why_older(db, tables.number_in(db, self.number)):
            raise wrong(why, GO_ON)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _load(self) -> None:
        with self._engine.connect() as db:
            version = tables.number_in(db)
            stored = StoredUsers.read(db)
            self.older = self._why_older(db, version)
            if not self.older:
                self._saw(db, version)
            names_key = names_key_in(db)
        self._known.replace(frozenset(), stored, version, names_key)

    def known_address(self, aor: str) -> SipUri:
        """Parse the address of a user; if there is none, of the user whose address differs in the case of its letters."""
        uri = read_address(aor)
        with self._database.border(), self._engine.connect() as db:
            exists = db.execute(sql.select(tables.USERS.c.aor).where(tables.USERS.c.aor == uri.aor)).first()
            found = "" if exists else user_like(db, uri.aor)
        return read_address(found) if found else uri

    @contextmanager
    def reading(self) -> Iterator[sql.Connection]:
        """Read in one transaction; raises `OperatorError` if the database cannot be used."""
        with self._database.border(), self._engine.connect() as db:
            yield db

    @contextmanager
    def locked(self) -> Iterator[sql.Connection]:
        """Start a change that no server has to know of: it waits for other changes, and they wait until its end."""
        with self._database.border(), self._engine.begin() as db:
            tables.raise_number(db, 0, self.number)
            self._must_count(db)
            yield db

    @contextmanager
    def changing(self, *aors: str) -> Iterator[tuple[sql.Connection, int]]:
        """Start a change of users: other changes wait until its end. The number is that of the last user."""
        with self._database.border(), self._engine.begin() as db:
            tables.raise_number(db, 0, self.number)
            self._must_count(db)
            version = tables.raise_number(db, len(aors), self.number)
            yield db, version
            rows = [{"version": version - n, "aor": aor} for n, aor in enumerate(reversed(aors))]
            if rows:
                db.execute(tables.CHANGES.insert(), rows)
        if self._seen is not None:
            with self._database.border(), self._engine.connect() as db:
                self._saw(db, version)


def _new_address(aor: str) -> SipUri:
    uri = read_address(aor)
    return uri if uri.user is None else replace(uri, user=ascii_lower(normal_escapes(uri.user)))
