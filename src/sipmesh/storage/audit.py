"""The audit log: every change of trust is one line, which is never changed, and contains the hash of the line before.

The hash covers the stored text of a line. So a check does not encode a line again, and two releases of sipmesh agree. A line
that was changed, removed or inserted is found at that line. Lines that were removed at the end are found by the hashes in the
published versions, and on each host that has added lines (`verify`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sql

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.database.schema import MANAGEMENT
from sipmesh.errors import LocalError, OperatorError
from sipmesh.pki import files
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.append_only import copy_rows
from sipmesh.storage.audit_act import AuditAct
from sipmesh.strict_json import read_json

_schema = sql.MetaData()
_audit = sql.Table(
    "audit",
    _schema,
    sql.Column("seq", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("line", sql.Text, nullable=False),
    sql.Column("previous", sql.Text, nullable=False),
    sql.Column("hash", sql.Text, nullable=False),
)
# One row. Each change updates it first, so that changes cannot overlap.
_turn = sql.Table(
    "audit_turn",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("turns", sql.BigInteger, nullable=False),
)

MOST_LOST: Final = 100
"""Hashes of removed lines that a host keeps: the first of them say when it began."""

UNREADABLE: Final = "unreadable"

NOTHING_ABOUT: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line. *act* is an `AuditAct`, or the word of a newer release; the *hash* covers *text* and *previous*."""

    seq: int
    at: datetime
    who: str
    act: str
    about: Mapping[str, Any]
    previous: str
    hash: str
    text: str

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        told = {"seq": self.seq, "at": self.at.isoformat(), "who": self.who, "act": self.act, "about": dict(self.about)}
        return {**told, "previous": self.previous, "hash": self.hash}

    def __repr__(self) -> str:
        return f"<AuditLine {self.seq} {self.act} by {self.who} {self.hash[:12]}>"


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some *lines* that follow each other, newest first; *faults* says which of them were changed.

    *is_last*: there are no older lines.
    """

    lines: Sequence[AuditLine]
    faults: Sequence[str]
    is_last: bool


class Audit:
    """The audit log of one organisation."""

    __slots__ = ("_database", "_lease", "_own_head")

    def __init__(self, database: Database, lease: Lease, own_head: Path | None = None) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used.

        Only the holder of the *lease* can change anything. *own_head* is a file with the hash of the last line that this host has
        added: others may be able to write to the database.
        """
        self._database, self._lease, self._own_head = database, lease, own_head
        database.migrate(MANAGEMENT)

    def append(self, who: str, act: AuditAct, about: Mapping[str, Any] = NOTHING_ABOUT, *, at: datetime) -> AuditLine:
        """Add a line; it is on the disk when this returns. *about* may contain each value that JSON can represent."""
        with self.changing() as db:
            return self.add(db, who, act, about, at=at)

    def head(self) -> str:
        """Return the hash of the last line, in hex; empty if there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            return self.head_in(db)

    def last(self) -> AuditLine | None:
        """Return the last line, None if there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            newest = sql.select(_audit.c.seq, _audit.c.line, _audit.c.previous, _audit.c.hash)
            row = db.execute(newest.order_by(_audit.c.seq.desc()).limit(1)).first()
        return _line(*row) if row is not None else None

    def read(self, since: int = 0) -> list[AuditLine]:
        """Return every line after number *since*, oldest first; raises `OperatorError` for an unreadable line."""
        with self._database.border(), self._database.engine.connect() as db:
            return [_line(*row) for row in db.execute(_lines().where(_audit.c.seq > since))]

    def readable(self, find: str = "") -> list[AuditLine]:
        """Return every line that can be read, oldest first: a line that was changed hides no other one.

        With a text to *find*, in lower case, these are lines with this text in any case of its letters.
        """
        found, query = [], _lines().where(_has(find)) if find else _lines()
        with self._database.border(), self._database.engine.connect() as db:
            for row in db.execute(query):
                with suppress(OperatorError):
                    found.append(_line(*row))
        return found

    def page(self, before: int, most: int, find: str = "") -> AuditPage:
        """Return the newest lines with a number below *before*, at most *most*, newest first, with the faults among them.

        With a text to *find* these are lines with this text, in any case of its letters, each checked by itself.

        The work is bounded by *most*; `verify` reads the whole log. Raises `OperatorError` for an unreadable line.
        """
        newest = sql.select(_audit.c.seq, _audit.c.line, _audit.c.previous, _audit.c.hash).where(_audit.c.seq < before)
        if find:
            newest = newest.where(_has(ascii_lower(find)))
        with self._database.border(), self._database.engine.connect() as db:
            rows = [tuple(row) for row in db.execute(newest.order_by(_audit.c.seq.desc()).limit(most + 1))]
        faults: list[str] = []
        last, hash_before = (rows[most][0], rows[most][3]) if len(rows) > most else (0, "")
        for row in reversed(rows[:most]):
            if find:
                last, hash_before = row[0] - 1, row[2]
            faults += (f"line {row[0]}: {why}" for why in _misfits(last, hash_before, row))
            last, hash_before = row[0], row[3]
        return AuditPage([_line(*row) for row in rows[:most]], faults, is_last=len(rows) <= most)

    def verify(self, heads: Mapping[str, str] = NOTHING_ABOUT) -> list[str]:
        """Return the faults of the log, one sentence for each, which names the line; empty if there are none.

        *heads* are hashes of this log that others have stored, by the name of the owner, such as a published version. The last
        line that this host has added has to be there too.
        """
        faults: list[str] = []
        last, before, known = 0, "", {""}
        with self._database.border(), self._database.engine.connect() as db:
            for seq, text, previous, found in db.execute(_lines()):
                faults += (f"line {seq}: {why}" for why in _misfits(last, before, (seq, text, previous, found)))
                last, before = seq, found
                known.add(found)
        own = [(self._own_head.name, head) for head in self._remembered()] if self._own_head is not None else []
        for who, head in [*own, *heads.items()]:
            if head not in known:
                faults.append(
                    f"{who} carries the hash {head[:12]}, which no line of the audit log has: lines were changed or removed"
                )
        return faults

    def is_cut(self) -> bool:
        """Tell whether the log lacks the last line that this host has added."""
        *_, last = self._remembered() or [""]
        if last in {"", UNREADABLE}:
            return False
        with self._database.border(), self._database.engine.connect() as db:
            return db.execute(sql.select(_audit.c.seq).where(_audit.c.hash == last)).first() is None

    @contextmanager
    def changing(self) -> Iterator[sql.Connection]:
        """Start a change: other changes wait until it is committed, or rolled back by an exception.

        Raises `NotLeadingError` if another management server leads.
        """
        self._lease.must_lead()
        with self._database.border(), self._database.engine.begin() as db:
            db.execute(_turn.update().values(turns=_turn.c.turns + 1))
            self._lease.enter(db)
            lost = self._lost_in(db)
            yield db
            head = self.head_in(db)
        self._remember([*lost, head])

    def _lost_in(self, db: sql.Connection) -> Sequence[str]:
        """Return the hashes that this host has stored, and that no line of the log has now.

        They stay in the file beside the hash of the next line, which would hide that the log was cut before it.
        """
        *lost, last = self._remembered() or [""]
        is_there = (
            last in {"", self.head_in(db)} or db.execute(sql.select(_audit.c.seq).where(_audit.c.hash == last)).first()
        )
        return (lost if is_there else [*lost, last])[:MOST_LOST]

    def _remember(self, heads: Sequence[str]) -> None:
        """Store hashes on this host, that of the last line at the end. If that fails, those from before are there, and count."""
        if self._own_head is not None:
            with suppress(OSError, OperatorError):
                self._own_head.parent.mkdir(mode=0o700, exist_ok=True)
                files.write(self._own_head, "".join(f"{head}\n" for head in heads).encode(), files.SECRET)

    def _remembered(self) -> Sequence[str]:
        if self._own_head is None:
            return []
        try:
            return self._own_head.read_text("ascii").split()
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            return [UNREADABLE]

    @contextmanager
    def copying(self) -> Iterator[sql.Connection]:
        """Start a transaction that copies another database into this one; the lease is not needed, since nothing is here yet."""
        with self._database.border(), self._database.engine.begin() as db:
            db.execute(_turn.update().values(turns=_turn.c.turns + 1))
            yield db

    @staticmethod
    def copy(source: sql.Connection, target: sql.Connection) -> None:
        """Copy all lines; raises `OperatorError` if *target* has other lines."""
        copy_rows(source, target, _audit, _audit.c.seq)

    def add(self, db: sql.Connection, who: str, act: AuditAct, about: Mapping[str, Any], *, at: datetime) -> AuditLine:
        """Add a line within a change, so that the line and the change are stored together, or not at all."""
        (row,) = self.add_all(db, who, act, [about], at=at)
        return _line(**row)

    def add_all(
        self, db: sql.Connection, who: str, act: AuditAct, abouts: Sequence[Mapping[str, Any]], *, at: datetime
    ) -> Sequence[Mapping[str, Any]]:
        """Add a line for each of *abouts* within a change, as `add` does, and return the rows; many lines cost few statements."""
        if at.tzinfo is None:
            raise LocalError("an instant in the audit log needs a timezone")
        last = db.execute(sql.select(sql.func.coalesce(sql.func.max(_audit.c.seq), 0))).scalar_one()
        head, rows = self.head_in(db), list[dict[str, Any]]()
        for seq, about in enumerate(abouts, last + 1):
            text = _text(
                {"seq": seq, "at": at.astimezone(UTC).isoformat(), "who": who, "act": act, "about": dict(about)}
            )
            rows.append({"seq": seq, "line": text, "previous": head, "hash": _hash(head, text)})
            head = rows[-1]["hash"]
        if rows:
            db.execute(_audit.insert(), rows)
        if self.head_in(db) != head:
            raise OperatorError("the database was changed: it does not store the lines of the audit log; find out how")
        return rows

    @staticmethod
    def head_in(db: sql.Connection) -> str:
        """Return the hash of the last line, as seen within a change."""
        newest = sql.select(_audit.c.hash).order_by(_audit.c.seq.desc()).limit(1)
        return db.execute(newest).scalar_one_or_none() or ""


def _has(find: str) -> sql.ColumnElement[bool]:
    """Say that a line has the text *find*, which is in lower case."""
    return sql.func.lower(_audit.c.line).contains(json.dumps(find)[1:-1], autoescape=True)


def _lines() -> sql.Select[Any]:
    return sql.select(_audit.c.seq, _audit.c.line, _audit.c.previous, _audit.c.hash).order_by(_audit.c.seq)


def _text(facts: Mapping[str, Any]) -> str:
    try:
        return json.dumps(facts, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as wrong:
        raise LocalError(f"the audit log cannot write this as JSON: {wrong}") from None


def _hash(previous: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def _misfits(last: int, before: str, row: tuple[int, str, str, str]) -> Iterator[str]:
    """Return the faults of a line that follows line *last*, whose hash is *before*."""
    seq, text, previous, found = row
    if seq != last + 1:
        yield f"it follows line {last}: lines between the two are missing" if last else "it is the first one"
    if previous != before:
        yield "its hash of the line before is wrong"
    if found != _hash(previous, text):
        yield "its text does not match its hash"
    try:
        line = _line(seq, text, previous, found)
    except OperatorError:
        yield "its text cannot be read"
        return
    if line.seq != seq:
        yield f"its text is that of line {line.seq}"


def _line(seq: int, line: str, previous: str, hash: str) -> AuditLine:  # noqa: A002 - the columns, by name
    try:
        facts = read_json(line)
        at, about = _instant(facts["at"]), dict[str, Any](facts["about"])
        return AuditLine(int(facts["seq"]), at, str(facts["who"]), str(facts["act"]), about, previous, hash, line)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise OperatorError(f"line {seq} of the audit log cannot be read; see `sipmesh audit verify`") from None


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at
