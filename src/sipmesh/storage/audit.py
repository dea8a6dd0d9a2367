"""The audit log: every change of trust is one line, which is only ever added, and carries the hash of the one before.

What is hashed is the text of a line as it is kept, so that a check writes nothing anew and two versions of this program agree. A
line that was changed, left out or put in between shows at that line; what was cut off at the end shows by the heads that
published versions carry (`verify`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from sipmesh.errors import LocalError, OperatorError
from sipmesh.storage.append_only import guard
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.database import Database

_schema = sql.MetaData()
_audit = sql.Table(
    "audit",
    _schema,
    sql.Column("seq", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("line", sql.Text, nullable=False),
    sql.Column("previous", sql.Text, nullable=False),
    sql.Column("hash", sql.Text, nullable=False),
)
# One row. It is updated first in every change, so that changes happen one after the other.
_turn = sql.Table(
    "audit_turn",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("turns", sql.BigInteger, nullable=False),
)

NOTHING_ABOUT: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line. *act* is an `AuditAct`, or a word that a newer version has for one; *text* is what the *hash* is over."""

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


class Audit:
    """The log of one organisation."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        """Make what is not there yet; raises `OperatorError` where the database cannot be used."""
        self._database = database
        with database.setting_up() as db:
            for table in _schema.sorted_tables:
                db.execute(CreateTable(table, if_not_exists=True))
            guard(db, "audit", "seq")
        with database.border(), suppress(IntegrityError), database.engine.begin() as db:
            db.execute(_turn.insert().values(id=1, turns=0))

    def __repr__(self) -> str:
        return f"<Audit in {self._database.where}>"

    def append(self, who: str, act: AuditAct, about: Mapping[str, Any] = NOTHING_ABOUT, *, at: datetime) -> AuditLine:
        """Add a line; it is on the disk when this returns. *about* is whatever JSON can say of the act."""
        with self.changing() as db:
            return self.add(db, who, act, about, at=at)

    def head(self) -> str:
        """The hash of the last line, in hex; empty where there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            return self.head_in(db)

    def last(self) -> AuditLine | None:
        """The last line, None where there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            newest = sql.select(_audit.c.seq, _audit.c.line, _audit.c.previous, _audit.c.hash)
            row = db.execute(newest.order_by(_audit.c.seq.desc()).limit(1)).first()
        return _line(*row) if row is not None else None

    def read(self, since: int = 0) -> list[AuditLine]:
        """Every line after number *since*, the oldest first; raises `OperatorError` for one that cannot be read."""
        with self._database.border(), self._database.engine.connect() as db:
            return [_line(*row) for row in db.execute(_lines().where(_audit.c.seq > since))]

    def verify(self, heads: Mapping[str, str] = NOTHING_ABOUT) -> list[str]:
        """What does not fit, each in one sentence that names its line, the first one first; nothing if all is well.

        *heads* are what others have kept of this log, by the name of who did, such as a published version.
        """
        faults: list[str] = []
        last, before, known = 0, "", {""}
        with self._database.border(), self._database.engine.connect() as db:
            for seq, text, previous, found in db.execute(_lines()):
                faults += (f"line {seq}: {why}" for why in _misfits(last, before, (seq, text, previous, found)))
                last, before = seq, found
                known.add(found)
        for who, head in heads.items():
            if head not in known:
                faults.append(
                    f"{who} carries the hash {head[:12]}, which no line of the audit log has: lines were changed or removed"
                )
        return faults

    @contextmanager
    def changing(self) -> Iterator[sql.Connection]:
        """Begin a change: nobody else changes anything here until it is committed, or given up by an exception."""
        with self._database.border(), self._database.engine.begin() as db:
            db.execute(_turn.update().values(turns=_turn.c.turns + 1))
            yield db

    def add(self, db: sql.Connection, who: str, act: AuditAct, about: Mapping[str, Any], *, at: datetime) -> AuditLine:
        """Add a line within a change that has begun, so that the line and what it tells of are kept together or not at all."""
        if at.tzinfo is None:
            raise LocalError("an instant in the audit log needs a timezone")
        last = db.execute(sql.select(sql.func.coalesce(sql.func.max(_audit.c.seq), 0))).scalar_one()
        told = {"seq": last + 1, "at": at.astimezone(UTC).isoformat(), "who": who, "act": act, "about": dict(about)}
        try:
            text = json.dumps(told, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as wrong:
            raise LocalError(f"the audit log cannot tell this in JSON: {wrong}") from None
        previous = self.head_in(db)
        row = {"seq": last + 1, "line": text, "previous": previous, "hash": _hash(previous, text)}
        db.execute(_audit.insert().values(row))
        return _line(**row)

    @staticmethod
    def head_in(db: sql.Connection) -> str:
        """The head as a change that has begun sees it."""
        newest = sql.select(_audit.c.hash).order_by(_audit.c.seq.desc()).limit(1)
        return db.execute(newest).scalar_one_or_none() or ""


def _lines() -> sql.Select[Any]:
    return sql.select(_audit.c.seq, _audit.c.line, _audit.c.previous, _audit.c.hash).order_by(_audit.c.seq)


def _hash(previous: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def _misfits(last: int, before: str, row: tuple[int, str, str, str]) -> Iterator[str]:
    """What is wrong with a line that stands after number *last*, whose hash is *before*."""
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
        told = json.loads(line)
        at = datetime.fromisoformat(told["at"])
        return AuditLine(int(told["seq"]), at, str(told["who"]), str(told["act"]), told["about"], previous, hash, line)
    except (ValueError, TypeError, KeyError):
        raise OperatorError(f"line {seq} of the audit log cannot be read; see `sipmesh audit verify`") from None
