"""The message history of users: what each of them has sent and received, in the database of the stored messages.

The servers of a pool share it. Rows are encrypted (`storage.message_cipher`), and each is read by its user alone. Instants are
microseconds since 1970, by the clock of the database, and no two messages of a user have the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.database.connection import is_missing_file
from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.storage.messages import MessageStore, WithoutMessages, Work, now, octets_in

if TYPE_CHECKING:
    from sipmesh.storage import message_history_tables as tables
    from sipmesh.storage.message_cipher import HistoryCipher, UserCipher
else:
    tables = LazyModule("sipmesh.storage.message_history_tables")

MOST_OF_USER: Final = 10_000
"""Messages in the history of one user. Beyond, the oldest of the sender with most messages are removed."""

OCTETS_OF_USER: Final = 16 << 20
"""Octets in the history of one user, encrypted. Beyond, the oldest of the sender with most octets are removed."""

PAGE: Final = 50
"""Messages, or conversations, that are read at a time."""

OCTETS_OF_PAGE: Final = 64 << 10
"""After so many octets no further message is read at a time."""

REMOVED_AT_ONCE: Final = 1_000
"""Rows that are removed in one transaction because of their age."""

_TRIMMED: Final = 16
_MICROSECONDS: Final = 1_000_000
_DAY: Final = 86_400 * _MICROSECONDS
_END: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A message of one user, as it is stored at the instant *at*. *octets* is what `routing.events.history_entry` has written."""

    at: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages, the newest first; *before* is the instant to ask with for older messages, 0 if there are none."""

    entries: Sequence[HistoryEntry] = ()
    before: int = 0


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A message for the history of one user: *octets* to encrypt, and the hashes `UserCipher` gives of what it belongs to."""

    key: bytes
    conversation: bytes
    source: bytes
    octets: bytes


def keep(cipher: UserCipher, entry: NewEntry) -> Work[bool]:
    """Add a message to the history of a user; False if it is there already. The rows of an earlier account are removed."""

    def work(db: sql.Connection) -> bool:
        at = int(now(db) * _MICROSECONDS)
        asked = {"owner": cipher.owner, "key": entry.key, "before": at + _DAY}
        known = db.execute(tables.KNOWN, asked).one()
        if known.account is not None and known.account < cipher.account:
            _remove_earlier(db, cipher)
            known = db.execute(tables.KNOWN, asked).one()
        if known.same is not None:
            return False
        if _too_much(*_insert(db, cipher, entry, max(at, int(known.last or 0) + 1))):
            while measure := _exceeded(db, cipher.owner):
                _trim(db, cipher.owner, measure)
        return True

    return work


def _remove_earlier(db: sql.Connection, cipher: UserCipher) -> None:
    """Remove the rows of an earlier account of the same name."""
    table, users = tables.HISTORY, tables.USERS
    _remove(db, table.c.owner == cipher.owner, table.c.account < cipher.account)
    db.execute(users.update().where(users.c.owner == cipher.owner).values(account=cipher.account))


def _insert(db: sql.Connection, cipher: UserCipher, entry: NewEntry, at: int) -> tuple[int, int]:
    """Add a row; gives how many messages and octets of the user are counted now."""
    sealed = cipher.sealed(entry.octets, at, entry.conversation)
    row = {
        "owner": cipher.owner,
        "at": at,
        "pool": cipher.pool,
        "account": cipher.account,
        "key": entry.key,
        "conversation": entry.conversation,
        "source": entry.source,
        "octets": sealed,
        "size": len(sealed),
    }
    db.execute(tables.HISTORY.insert(), row)
    counted = {"owner": cipher.owner, "account": cipher.account, "size": len(sealed)}
    messages, octets = db.execute(tables.COUNTED, counted).one()
    return int(messages), int(octets)


def _remove(db: sql.Connection, *which: sql.ColumnElement[bool]) -> int:
    """Remove the messages for which all of *which* is true; gives how many that were."""
    table = tables.HISTORY
    sums = sql.select(table.c.owner, sql.func.count(), sql.func.sum(table.c.size)).where(*which).group_by(table.c.owner)
    found = db.execute(sums).all()
    if not found:
        return 0
    removed = db.execute(table.delete().where(*which)).rowcount
    for owner, messages, octets in found:
        _uncount(db, owner, int(messages), int(octets))
    return removed


def _uncount(db: sql.Connection, owner: str, messages: int, octets: int) -> None:
    users = tables.USERS
    fewer = {"messages": users.c.messages - messages, "octets": users.c.octets - octets}
    db.execute(users.update().where(users.c.owner == owner).values(fewer))
    db.execute(users.delete().where(users.c.owner == owner, users.c.messages <= 0))


def _exceeded(db: sql.Connection, owner: str) -> str:
    """Return of what the history of a user has too much: "count" of messages, or "sum" of their sizes; "" for neither.

    Only if there seems to be too much, the messages themselves are counted.
    """
    table, users = tables.HISTORY, tables.USERS
    is_of_user = users.c.owner == owner
    measure = _too_much(*db.execute(sql.select(users.c.messages, users.c.octets).where(is_of_user)).one())
    if not measure:
        return ""
    total = sql.func.coalesce(sql.func.sum(table.c.size), 0)
    messages, octets = db.execute(sql.select(sql.func.count(), total).where(table.c.owner == owner)).one()
    db.execute(users.update().where(is_of_user).values(messages=messages, octets=octets))
    return _too_much(messages, octets)


def _too_much(messages: int, octets: int) -> str:
    return "count" if messages > MOST_OF_USER else "sum" if octets > OCTETS_OF_USER else ""


def _trim(db: sql.Connection, owner: str, measure: str) -> None:
    """Remove the oldest messages with the sender who has most by *measure*: a flood pushes out nothing but itself."""
    table = tables.HISTORY
    of_user = table.c.owner == owner
    largest = sql.select(table.c.source).where(of_user).group_by(table.c.source)
    has = sql.func.count() if measure == "count" else sql.func.sum(table.c.size)
    source = db.execute(largest.order_by(has.desc()).limit(1)).scalar_one()
    oldest = sql.select(table.c.at).where(of_user, table.c.source == source).order_by(table.c.at).limit(_TRIMMED)
    _remove(db, of_user, table.c.at.in_(oldest))


def page(cipher: UserCipher, conversation: bytes, before: int = 0) -> Work[HistoryPage]:
    """Read the newest messages of a *conversation*, older than *before* if that is not 0. It only reads."""

    def work(db: sql.Connection) -> HistoryPage:
        table = tables.HISTORY
        found = _own(cipher).where(table.c.conversation == conversation, table.c.at < (before or _END))
        return _page(db, cipher, found.order_by(table.c.at.desc()))

    return WithoutMessages(work, HistoryPage())


def conversations(cipher: UserCipher, before: int = 0) -> Work[HistoryPage]:
    """Read the last message of each conversation, the newest first, older than *before* if that is not 0. It only reads."""

    def work(db: sql.Connection) -> HistoryPage:
        table = tables.HISTORY
        newest = sql.select(sql.func.max(table.c.at).label("at"))
        newest = newest.where(table.c.owner == cipher.owner, table.c.account == cipher.account)
        last = newest.group_by(table.c.conversation).subquery()
        found = _own(cipher).where(table.c.at.in_(sql.select(last.c.at)), table.c.at < (before or _END))
        return _page(db, cipher, found.order_by(table.c.at.desc()))

    return WithoutMessages(work, HistoryPage())


def _own(cipher: UserCipher) -> sql.Select[tuple[int, bytes, bytes]]:
    table = tables.HISTORY
    query = sql.select(table.c.at, table.c.conversation, table.c.octets)
    return query.where(table.c.owner == cipher.owner, table.c.account == cipher.account)


def _page(db: sql.Connection, cipher: UserCipher, query: sql.Select[tuple[int, bytes, bytes]]) -> HistoryPage:
    """Decrypt what *query* finds, as much as a page has; rows that the pool has not written are left out."""
    entries: list[HistoryEntry] = []
    octets = last = 0
    for number, row in enumerate(db.execute(query.limit(PAGE + 1))):
        if number == PAGE or octets > OCTETS_OF_PAGE:
            return HistoryPage(entries, last)
        last = int(row.at)
        opened = _opened(cipher, row)
        if opened is not None:
            octets += len(opened)
            entries.append(HistoryEntry(last, opened))
    return HistoryPage(entries)


def _opened(cipher: UserCipher, row: sql.Row[tuple[int, bytes, bytes]]) -> bytes | None:
    return cipher.opened(octets_in(row.octets), int(row.at), octets_in(row.conversation))


def erase(cipher: UserCipher, conversation: bytes | None = None) -> Work[int]:
    """Remove a *conversation* of a user, or all of them; gives how many messages that were."""

    def work(db: sql.Connection) -> int:
        table = tables.HISTORY
        which = [table.c.owner == cipher.owner]
        if conversation is not None:
            which.append(table.c.conversation == conversation)
        return _remove(db, *which)

    return WithoutMessages(work, 0)


def forget(owners: Collection[str], before_account: int = 0) -> Work[int]:
    """Remove all that is kept for *owners*, or for accounts that were added before *before_account*."""

    def work(db: sql.Connection) -> int:
        table = tables.HISTORY
        earlier = table.c.account < before_account if before_account else sql.true()
        return sum(_remove(db, table.c.owner == owner, earlier) for owner in owners)

    return WithoutMessages(work, 0)


def move(old: UserCipher, new: UserCipher, renewed: Callable[[bytes], NewEntry | None]) -> Work[int]:
    """Give the history of a user who was renamed to the new name; what else has the old name is removed.

    *renewed* gives the entry for the octets of a row with the hashes of the new name.
    """

    def work(db: sql.Connection) -> int:
        table = tables.HISTORY
        moved = 0
        rows = db.execute(_own(old).where(table.c.at < _END).order_by(table.c.at)).all()
        _remove(db, table.c.owner == old.owner)
        for row in rows:
            opened = _opened(old, row)
            entry = renewed(opened) if opened is not None else None
            moved += entry is not None and _put_moved(db, new, entry, int(row.at))
        return moved

    return WithoutMessages(work, 0)


def _put_moved(db: sql.Connection, new: UserCipher, entry: NewEntry, at: int) -> bool:
    """Store a row under the new name, unless another server has done it."""
    table = tables.HISTORY
    same = sql.or_(table.c.key == entry.key, table.c.at == at)
    if db.execute(sql.select(table.c.at).where(table.c.owner == new.owner, same)).first():
        return False
    _insert(db, new, entry, at)
    return True


def expire(pool: str, days: int) -> Work[int]:
    """Remove what a *pool* has kept for more than *days*, with 0 all of it: `REMOVED_AT_ONCE` rows at most; gives how many."""

    def work(db: sql.Connection) -> int:
        table = tables.HISTORY
        before = int(now(db) * _MICROSECONDS) - days * _DAY if days else _END
        old = sql.select(table.c.owner, table.c.at, table.c.size).where(table.c.pool == pool, table.c.at < before)
        rows = db.execute(old.limit(REMOVED_AT_ONCE)).all()
        messages, octets = Counter[str](), Counter[str]()
        for row in rows:
            db.execute(table.delete().where(table.c.owner == row.owner, table.c.at == row.at))
            messages[row.owner] += 1
            octets[row.owner] += int(row.size)
        for owner, count in messages.items():
            _uncount(db, owner, count, octets[owner])
        return len(rows)

    return WithoutMessages(work, 0)


def accounts(pool: str) -> Work[Sequence[tuple[str, int]]]:
    """Give each owner of whom a *pool* keeps messages, with the account. It only reads."""

    def work(db: sql.Connection) -> Sequence[tuple[str, int]]:
        table = tables.HISTORY
        found = db.execute(
            sql.select(table.c.owner, table.c.account).where(table.c.pool == pool, table.c.account < _END).distinct()
        )
        return [(str(row.owner), int(row.account)) for row in found]

    nothing: Sequence[tuple[str, int]] = ()
    return WithoutMessages(work, nothing)


def erase_users(url: str, cipher: HistoryCipher, aors: Collection[str]) -> int:
    """Remove the history of *aors* from the database at *url*; gives the number of messages. Raises `OperatorError`."""
    if is_missing_file(url):
        return 0
    store = MessageStore(url)
    try:
        return store.carry_out([forget([cipher.owner(aor) for aor in aors])])[0]
    finally:
        store.close()
