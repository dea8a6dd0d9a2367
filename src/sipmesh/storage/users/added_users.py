"""The users whom a sync adds: few statements for many users, inside a change of the user database."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.identity.alias import alias_keys, folded
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.tel import TelUri, is_tel
from sipmesh.storage.users.contact_rows import remove_contacts
from sipmesh.storage.users.device_rows import remove_devices
from sipmesh.storage.users.password_hashes import DEFAULT_ALGORITHMS, password_hashes
from sipmesh.storage.users.user_rows import MOST_ALIASES, wrong

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sipmesh.storage.users import user_tables as tables
    from sipmesh.storage.users.directory_entry import DirectoryStep
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")

PASSWORD_OCTETS: Final = 32
"""A user from a directory has a random password, which is not shown: devices have passwords and certificates of their own."""

A_MICROSECOND: Final = timedelta(microseconds=1)
LONGEST_SYNC: Final = timedelta(hours=1)
"""Users who were created later than this after the begin of a sync are of another sync."""


def add_users(db: sql.Connection, steps: Sequence[DirectoryStep], at: datetime, generation: int) -> None:
    """Add the user of each of *steps*, with the aliases, and with a random password, which is not shown.

    Raises `OperatorError` if another user has one of the names, among *steps* too, and above `MOST_ALIASES`.
    """
    uris = [read_address(step.aor) for step in steps]
    aors = [uri.aor for uri in uris]
    _must_be_free(db, dict(zip(aors, steps, strict=True)))
    first = _first_free(db, at)
    users = [
        {
            "aor": uri.aor,
            **password_hashes(uri, secrets.token_urlsafe(PASSWORD_OCTETS), DEFAULT_ALGORITHMS, None),
            "generation": generation,
            "created": first + number * A_MICROSECOND,
            "pool": step.pool,
        }
        for number, (uri, step) in enumerate(zip(uris, steps, strict=True))
    ]
    db.execute(tables.USERS.insert(), users)
    remove_devices(db, *aors)  # of earlier users of these names
    remove_contacts(db, *aors)
    aliases = [
        {"alias": key, "aor": aor, "created": at}
        for aor, step in zip(aors, steps, strict=True)
        for key in dict.fromkeys(step.adds)
    ]
    if aliases:
        db.execute(tables.ALIASES.insert(), aliases)


def _first_free(db: sql.Connection, at: datetime) -> datetime:
    """Return the first instant from *at* on at which no user of this sync was created.

    An account is known by its name and its instant (`Verifier.created`): what is kept for one user must not be that of another,
    who gets the name later.
    """
    created = tables.USERS.c.created
    of_sync = sql.select(created).where(created >= at, created < at + LONGEST_SYNC)
    last = db.execute(of_sync.order_by(created.desc()).limit(1)).scalar()
    return last + A_MICROSECOND if last is not None else at


def _must_be_free(db: sql.Connection, steps: dict[str, DirectoryStep]) -> None:
    """Raise `OperatorError` unless all names of *steps*, by address, are free."""
    keys = {key for aor, step in steps.items() for key in (folded(aor), *step.adds)}
    taken = _holders(db, keys)
    for aor, step in steps.items():
        if found := taken.get(folded(aor)):
            raise wrong(
                f"{aor} is a name of {found}", f"to let the entry be this user: sipmesh directory adopt {found[4:]}"
            )
        taken |= dict.fromkeys(alias_keys(aor), aor)
        for key in step.adds:
            if found := taken.get(key):
                raise wrong(f"{key} is already a name of {found}", f"to see it: sipmesh explain {found[4:]}")
        taken |= dict.fromkeys(step.adds, aor)
        if len(set(step.adds)) > MOST_ALIASES:
            raise wrong(f"{aor} would have more than {MOST_ALIASES} aliases", "remove numbers from its entry")


def _holders(db: sql.Connection, keys: Collection[str]) -> dict[str, str]:
    """Return the user who has each of *keys* as a name, as an alias, or by a name that is this telephone number."""
    name, aliases = tables.USERS.c.aor, tables.ALIASES.c
    found = {key: aor for aor in _numbers(db, keys) for key in alias_keys(aor) if key in keys and is_tel(key)}
    by_alias = sql.select(aliases.alias, aliases.aor).where(aliases.alias.in_(keys))
    by_name = sql.select(sql.func.lower(name), name).where(sql.func.lower(name).in_(keys))
    return found | {key: aor for query in (by_alias, by_name) for key, aor in db.execute(query)}


def _numbers(db: sql.Connection, keys: Collection[str]) -> Sequence[str]:
    """Return the users whose name may be one of the telephone numbers among *keys*."""
    first = {TelUri.parse(key).number[0] for key in keys if is_tel(key)}
    begins = sql.or_(sql.false(), *(tables.USERS.c.aor.like(f"sip:{one}%") for one in sorted(first)))
    return db.execute(sql.select(tables.USERS.c.aor).where(begins)).scalars().all()
