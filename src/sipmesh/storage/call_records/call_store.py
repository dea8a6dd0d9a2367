"""The records of all servers at management, in SQLite by default, in PostgreSQL if a URL says so.

The leader of the management pool writes. What a server delivers twice is stored once. Each record has a number. Numbers rise in
the order in which the records came: a sink goes on after the last number that it has had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.connection import Database
from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.database.schema import CALLS
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.call_records.call_query import with_quality
from sipmesh.storage.call_records.call_record import REPORT
from sipmesh.storage.call_records.journal import line_of, record_in
from sipmesh.storage.call_records.journal_entry import quoted

if TYPE_CHECKING:
    from sipmesh.storage.call_records import call_tables as tables
    from sipmesh.storage.call_records.call_query import CallQuery
    from sipmesh.storage.call_records.call_record import CallRecord
else:
    tables = LazyModule("sipmesh.storage.call_records.call_tables")

ERASED: Final = "(erased)"
MOST_REPORTS: Final = 2_000
"""Reports of quality that are read for one page."""

REMOVED_AT_ONCE: Final = 10_000
"""Records that one transaction removes because of their age."""


class CallStore:
    """The database at *url*. Its methods block; they raise `OperatorError` if the database cannot be used."""

    __slots__ = ("_database",)

    def __init__(self, url: str | Path) -> None:
        """Open or create the database; a path means SQLite."""
        self._database = Database(url, "records of calls")
        self._database.migrate(CALLS)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, records: Sequence[CallRecord]) -> None:
        """Store *records* in one transaction; a call that has ended replaces its own record from while it was up."""
        latest: dict[tuple[str, str], CallRecord] = {}
        for record in records:
            before = latest.get((record.server, record.id))
            if before is None or before.is_up:
                latest[record.server, record.id] = record
        if not latest:
            return
        table = tables.RECORDS
        over = [{"_server": one.server, "_id": one.id} for one in latest.values() if not one.is_up]
        with self._database.border(), self._database.engine.begin() as db:
            if over:
                is_it = (table.c.server == sql.bindparam("_server")) & (table.c.id == sql.bindparam("_id"))
                db.execute(table.delete().where(is_it & table.c.is_up), over)
            db.execute(_ignoring_known(db, table), [_row(record) for record in latest.values()])

    def page(self, query: CallQuery) -> tuple[list[CallRecord], bool]:
        """Give the newest records that *query* asks for, newest first, and whether there are more."""
        table = tables.RECORDS
        with self._database.border(), self._database.engine.connect() as db:
            asked = sql.select(table.c.record).where(*_conditions(query))
            if query.before:
                last = db.execute(sql.select(table.c.start, table.c.number).where(table.c.id == query.before)).first()
                if last is not None:
                    asked = asked.where(sql.tuple_(table.c.start, table.c.number) < sql.tuple_(*last))
            asked = asked.order_by(table.c.start.desc(), table.c.number.desc()).limit(query.most + 1)
            found = _read(db.execute(asked).scalars())
            calls = {record.call_id for record in found if record.method == "INVITE"}
            about = (table.c.method == REPORT) & table.c.call_id.in_(calls)
            reports = _read(db.execute(sql.select(table.c.record).where(about).limit(MOST_REPORTS)).scalars())
        return with_quality(found[: query.most], reports), len(found) > query.most

    # Retention and erasure

    def remove_before(self, when: datetime) -> int:
        """Remove records that began before *when*, `REMOVED_AT_ONCE` at most; gives how many."""
        table, until = tables.RECORDS, when.timestamp()
        old = sql.select(table.c.number).where(table.c.start < until).limit(REMOVED_AT_ONCE)
        with self._database.border(), self._database.engine.begin() as db:
            return int(db.execute(table.delete().where(table.c.number.in_(old))).rowcount)

    def erase(self, names: Sequence[str]) -> int:
        """Replace the users *names* in all records by `ERASED`; gives the number of records.

        The other party keeps the record: when a call was, and how it ended.
        """
        table, wanted = tables.RECORDS, [ascii_lower(name) for name in names]
        names_user = sql.or_(*(sql.func.lower(table.c.record).contains(name, autoescape=True) for name in wanted))
        erased = 0
        with self._database.border(), self._database.engine.begin() as db:
            for number, text in db.execute(sql.select(table.c.number, table.c.record).where(names_user)).all():
                record = record_in(text.encode())
                if record is not None and (kept := without(record, wanted)) != record:
                    db.execute(table.update().where(table.c.number == number).values(_row(kept)))
                    erased += 1
        return erased

    # Sinks

    def after(self, sink: str, most: int) -> tuple[list[CallRecord], int]:
        """Give the next complete records for *sink*, and the number to `have_had` then."""
        table = tables.RECORDS
        with self._database.border(), self._database.engine.connect() as db:
            had = db.execute(sql.select(tables.SINKS.c.number).where(tables.SINKS.c.sink == sink)).scalar() or 0
            asked = sql.select(table.c.number, table.c.record).where(table.c.number > had, ~table.c.is_up)
            rows = db.execute(asked.order_by(table.c.number).limit(most)).all()
        return _read(text for _, text in rows), rows[-1][0] if rows else had

    def have_had(self, sink: str, number: int) -> None:
        """Remember that *sink* has all records up to *number*."""
        table = tables.SINKS
        with self._database.border(), self._database.engine.begin() as db:
            changed = db.execute(table.update().where(table.c.sink == sink).values(number=number))
            if not changed.rowcount:
                db.execute(table.insert().values(sink=sink, number=number))


def without(record: CallRecord, names: Sequence[str]) -> CallRecord:
    """Give *record* without the users *names*, which are in lower case: in no text of it."""
    named = pattern_of(names)
    texts = ("caller", "callee", "answered_by", "why", "forwarded")
    changed: dict[str, Any] = {text: named.sub(ERASED, getattr(record, text)) for text in texts}
    return replace(record, **changed)


def pattern_of(names: Sequence[str]) -> re.Pattern[str]:
    """Give the pattern that finds each of *names* as a whole, in capital and small letters."""
    each = "|".join(map(re.escape, names))
    return re.compile(rf"(?<![\w.+%-])(?:{each})(?![\w-]|\.\w)", re.IGNORECASE | re.ASCII)


def _row(record: CallRecord) -> dict[str, Any]:
    caller, callee = ascii_lower(record.caller), ascii_lower(record.callee)
    return {
        "server": record.server,
        "id": record.id,
        "call_id": record.call_id,
        "method": record.method,
        "start": record.start.timestamp(),
        "status": record.status,
        "is_up": record.is_up,
        "caller": caller,
        "callee": callee,
        "answerer": ascii_lower(record.answered_by),
        "caller_domain": caller.rpartition("@")[2],
        "callee_domain": callee.rpartition("@")[2],
        "record": line_of(record).decode().rstrip("\n"),
    }


def _ignoring_known(db: sql.Connection, table: sql.Table) -> Any:
    """Give the statement that inserts rows, and passes over those that are there."""
    if db.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def _read(lines: Iterable[str]) -> list[CallRecord]:
    return [record for line in lines if (record := record_in(line.encode())) is not None]


def _conditions(query: CallQuery) -> list[Any]:
    table = tables.RECORDS
    found: list[Any] = [table.c.method != REPORT]
    if query.since is not None:
        found.append(table.c.start >= query.since.timestamp())
    if query.until is not None:
        found.append(table.c.start < query.until.timestamp())
    if query.failed:
        found.append(~table.c.status.between(200, 299))
    if query.up:
        found.append(table.c.is_up)
    if query.only:
        found.append(table.c.method == query.only)
    if query.call:
        found.append((table.c.call_id == query.call) | (table.c.id == query.call) | _refused_as(query.call))
    if query.names:
        found.append(_named(sorted(query.names)))
    return found


def _refused_as(reference: str) -> Any:
    """Give the condition for a refusal with that reference, which is in the record only: no other text of it has such quotes."""
    table = tables.RECORDS
    has_it = table.c.record.contains(f'"reference":{quoted(ascii_lower(reference))}', autoescape=True)
    return ~table.c.status.between(200, 299) & has_it


def _named(names: Sequence[str]) -> Any:
    table = tables.RECORDS
    users = [name for name in names if "@" in name]
    domains = [name for name in names if "@" not in name]
    of_user = table.c.caller.in_(users) | table.c.callee.in_(users) | table.c.answerer.in_(users)
    of_domain = table.c.caller_domain.in_(domains) | table.c.callee_domain.in_(domains)
    return of_user | of_domain if domains else of_user
