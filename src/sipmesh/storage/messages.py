"""Messages for users who are not registered, in SQLite by default, in PostgreSQL if a URL says so.

The servers of a pool share the database. A message that was stored survives a power cut. One server at a time delivers the
messages of a user: it holds the lease of that user. Times are seconds since 1970, by the clock of the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sipmesh.database.connection import Database
from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.database.schema import HISTORY, MESSAGES

if TYPE_CHECKING:
    from sipmesh.storage import message_tables as tables
else:
    tables = LazyModule("sipmesh.storage.message_tables")

LEASE_S: Final = 40.0
"""How long a server may deliver to a user without a query of the database: a phone has 32 s for each answer (timer F)."""

MOST_AT_ONCE: Final = 20
"""Messages of one user that are read at a time."""

PARTS: Final = 2
"""One user of a partner has one of so many parts of what is stored for the partner: the rest is for its other users."""

_SEPARATOR: Final = b"\0"
_AFTER_SEPARATOR: Final = b"\1"

T = TypeVar("T")
Work = Callable[["sql.Connection"], T]
"""One piece of work inside a transaction."""


@dataclass(frozen=True, slots=True)
class WithoutMessages(Generic[T]):
    """A piece of work that does nothing where no message is stored: then its result is *empty*, without a database."""

    work: Work[T]
    empty: T

    def __call__(self, db: sql.Connection) -> T:
        """Do the work inside a transaction."""
        return self.work(db)


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """How much is stored. *per_user* and *per_sender* (of one sender for one user) are messages; 0 stores nothing.

    A partner is one sender with all its users. One user of a partner has half of what the partner has, rounded up.
    """

    per_user: int = 200
    per_sender: int = 50
    lifetime_s: float = 7 * 86_400.0
    octets_per_user: int = 4 << 20
    octets_per_sender: int = 1 << 20  # of one sender for one user
    all_of_sender: int = 2_000  # messages of one sender for all users
    octets_of_sender: int = 32 << 20


class Storing(StrEnum):
    """What has become of a message that was to be stored; metrics have these names."""

    STORED = "stored"
    USER_FULL = "user-full"  # too much is stored for the user, by all senders or by this one
    SENDER_FULL = "sender-full"  # too much of the sender is stored, for all users, or waits for that
    FAILED = "failed"  # the database cannot be used, or too much waits for it


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message for *aor*. *key* is the same for each copy of one message.

    *sender* names who answers for it: a user of ours, or a partner. *author* is the user of the partner, empty for ours.
    *account* says for which user of this name it is: when that account was created (`Verifier.created`), 0 if it is not known.
    """

    aor: str
    sender: bytes
    key: bytes
    octets: bytes
    lifetime_s: float
    author: bytes = b""
    account: int = 0

    @property
    def whole_sender(self) -> bytes:
        """The sender as it is stored: with the author behind it. So the names of one sender are one range of the index."""
        return self.sender + _SEPARATOR + self.author if self.author else self.sender


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it is stored; lower numbers were stored earlier. *sender* is who answers for it, with the author.

    *left_s* is the time until it expires, from when it was read.
    """

    number: int
    octets: bytes
    sender: bytes
    left_s: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """The next messages of a user, for the holder of the lease; *is_held*: another server holds it."""

    messages: tuple[StoredMessage, ...] = ()
    is_held: bool = False


class MessageStore:
    """The database. Its methods block, and give the work of one transaction to `carry_out`."""

    __slots__ = ("_database",)

    def __init__(self, url: str | Path) -> None:
        """Open or create the database; a path means SQLite. Raises `OperatorError` if it cannot be used."""
        self._database = Database(url, "stored messages")
        self._database.migrate(MESSAGES)
        self._database.migrate(HISTORY)

    def carry_out(self, works: Sequence[Work[T]], *, only_reads: bool = False) -> list[T]:
        """Carry out all *works* in one transaction, or none; raises `OperatorError` if the database cannot be used.

        *only_reads*: none of them writes, so that the transaction waits for no other one.
        """
        with self._database.border(), self._database.engine.begin() as db:
            if not only_reads:
                db.execute(tables.TURN.update().values(turn=tables.TURN.c.turn + 1))
            return [work(db) for work in works]

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def store(message: NewMessage, limits: MessageLimits) -> Work[Storing]:
    """Store a message, unless it is stored already or a limit is reached."""

    def work(db: sql.Connection) -> Storing:
        _remove_of_earlier(db, message.aor, message.account)
        same = sql.select(tables.MESSAGES.c.number).where(
            tables.MESSAGES.c.aor == message.aor, tables.MESSAGES.c.key == message.key
        )
        if db.execute(same).first() is not None:
            return Storing.STORED
        _remove_expired(db, message)
        full = _full(db, message, limits)
        if full is None:
            db.execute(tables.MESSAGES.insert().values(_row(message, now(db))))
        return full or Storing.STORED

    return work


def _row(message: NewMessage, at: float) -> dict[str, object]:
    return {
        "aor": message.aor,
        "sender": message.whole_sender,
        "key": message.key,
        "octets": message.octets,
        "size": len(message.octets),
        "expires": at + message.lifetime_s,
        "account": message.account,
    }


def _remove_of_earlier(db: sql.Connection, aor: str, account: int) -> None:
    """Remove what was stored for an earlier user of the name *aor*."""
    if account:
        is_earlier = sql.and_(tables.MESSAGES.c.account > 0, tables.MESSAGES.c.account < account)
        db.execute(tables.MESSAGES.delete().where(tables.MESSAGES.c.aor == aor, is_earlier))


def _remove_expired(db: sql.Connection, message: NewMessage) -> None:
    """Remove what has expired of the user and of the sender, so that the limits count all that is on the disk.

    Otherwise messages with a short lifetime would fill it until the next `expire`.
    """
    of_sender, _ = next(_senders(message))
    is_over = tables.MESSAGES.c.expires <= now(db)
    for which in (tables.MESSAGES.c.aor == message.aor, of_sender):
        db.execute(tables.MESSAGES.delete().where(which, is_over))


def _full(db: sql.Connection, message: NewMessage, limits: MessageLimits) -> Storing | None:
    """Name the limit that the message would exceed; None if there is room. What has expired does not count."""
    size, alive = len(message.octets), tables.MESSAGES.c.expires > now(db)
    for_user = tables.MESSAGES.c.aor == message.aor
    count, octets = _sum(db, alive, for_user)
    if count >= limits.per_user or octets + size > limits.octets_per_user:
        return Storing.USER_FULL
    for of_sender, parts in _senders(message):
        count, octets = _sum(db, alive, for_user, of_sender)
        if count >= _share(limits.per_sender, parts) or octets + size > _share(limits.octets_per_sender, parts):
            return Storing.USER_FULL
        count, octets = _sum(db, alive, of_sender)
        if count >= _share(limits.all_of_sender, parts) or octets + size > _share(limits.octets_of_sender, parts):
            return Storing.SENDER_FULL
    return None


def _senders(message: NewMessage) -> Iterator[tuple[sql.ColumnElement[bool], int]]:
    """Give whose messages are counted: the sender with all its authors, and the author, who has one of *PARTS* parts of that."""
    sender = tables.MESSAGES.c.sender
    yield sql.and_(sender >= message.sender, sender < message.sender + _AFTER_SEPARATOR), 1
    if message.author:
        yield sender == message.whole_sender, PARTS


def _share(most: int, parts: int) -> int:
    return -(-most // parts)


def _sum(db: sql.Connection, *which: sql.ColumnElement[bool]) -> tuple[int, int]:
    """Count messages and their octets."""
    total = sql.func.coalesce(sql.func.sum(tables.MESSAGES.c.size), 0)
    count, octets = db.execute(sql.select(sql.func.count(), total).where(*which)).one()
    return int(count), int(octets)


def claim(aor: str, holder: str, after: int = 0, account: int = 0) -> Work[Claimed]:
    """Take the lease of a user for *holder*, and read the next messages above the number *after*.

    Only messages for this *account* are read, and those of which it is not known for which they are. Those for an earlier
    account of the same name are removed. With 0 for *account* all are read.

    Without a message nothing is taken. A server takes its own lease again: its earlier process has ended.
    """
    is_for_it = tables.MESSAGES.c.account.in_((0, account)) if account else sql.true()

    def work(db: sql.Connection) -> Claimed:
        at = now(db)
        _remove_of_earlier(db, aor, account)
        found = db.execute(
            sql.select(
                tables.MESSAGES.c.number, tables.MESSAGES.c.octets, tables.MESSAGES.c.sender, tables.MESSAGES.c.expires
            )
            .where(
                tables.MESSAGES.c.aor == aor,
                tables.MESSAGES.c.expires > at,
                tables.MESSAGES.c.number > after,
                is_for_it,
            )
            .order_by(tables.MESSAGES.c.number)
            .limit(MOST_AT_ONCE)
        ).all()
        if not found:
            return Claimed()
        lease = {"aor": aor, "holder": holder, "ends": at + LEASE_S, "now": at}
        if db.execute(tables.LEASE, lease).rowcount:
            return Claimed(
                tuple(
                    StoredMessage(row.number, octets_in(row.octets), octets_in(row.sender), row.expires - at)
                    for row in found
                )
            )
        return Claimed(is_held=True)

    return WithoutMessages(work, Claimed())


def octets_in(value: object) -> bytes:
    """Return the octets of a column; none for a value of another type, which SQLite stores too: that is no message."""
    return bytes(value) if isinstance(value, bytes | memoryview) else b""


def extend(aor: str, holder: str) -> Work[bool]:
    """Hold the lease longer; False if another server has it meanwhile."""

    def work(db: sql.Connection) -> bool:
        at = now(db)
        return db.execute(tables.LEASE, {"aor": aor, "holder": holder, "ends": at + LEASE_S, "now": at}).rowcount > 0

    return WithoutMessages(work, empty=True)


def remove(aor: str, number: int, holder: str) -> Work[bool]:
    """Remove a message that was delivered, and hold the lease longer; False if another server has the lease meanwhile."""

    def work(db: sql.Connection) -> bool:
        db.execute(tables.MESSAGES.delete().where(tables.MESSAGES.c.aor == aor, tables.MESSAGES.c.number == number))
        return extend(aor, holder)(db)

    return WithoutMessages(work, empty=True)


def release(aor: str, holder: str) -> Work[bool]:
    """Give the lease back, if *holder* has it."""

    def work(db: sql.Connection) -> bool:
        return (
            db.execute(
                tables.LEASES.delete().where(tables.LEASES.c.aor == aor, tables.LEASES.c.holder == holder)
            ).rowcount
            > 0
        )

    return WithoutMessages(work, empty=False)


def counts() -> Work[dict[str, int]]:
    """Count the messages of each user who has some; it only reads."""

    def work(db: sql.Connection) -> dict[str, int]:
        each = sql.select(tables.MESSAGES.c.aor, sql.func.count()).where(tables.MESSAGES.c.expires > now(db))
        return {aor: int(count) for aor, count in db.execute(each.group_by(tables.MESSAGES.c.aor))}

    nobody: dict[str, int] = {}
    return WithoutMessages(work, nobody)


def expire() -> Work[int]:
    """Remove messages and leases that have expired; gives the number of the messages."""

    def work(db: sql.Connection) -> int:
        at = now(db)
        db.execute(tables.LEASES.delete().where(tables.LEASES.c.ends <= at))
        return db.execute(tables.MESSAGES.delete().where(tables.MESSAGES.c.expires <= at)).rowcount

    return WithoutMessages(work, 0)


def forget_users(aors: Collection[str]) -> Work[int]:
    """Remove all messages for *aors*, who are no users any more; gives their number."""

    def work(db: sql.Connection) -> int:
        return sum(db.execute(tables.MESSAGES.delete().where(tables.MESSAGES.c.aor == aor)).rowcount for aor in aors)

    return WithoutMessages(work, 0)


def now(db: sql.Connection) -> float:
    """Give the time of the database: servers on several machines compare times with one clock."""
    if db.dialect.name == "postgresql":
        return float(db.execute(sql.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()
