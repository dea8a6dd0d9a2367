"""Every version of the topology that was ever published, in the signed bytes that went out, with who, when and why.

A version and its line in the audit log are one transaction. Numbers only ever grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.schema import CreateTable

from sipmesh.errors import LocalError, OperatorError
from sipmesh.storage.append_only import guard
from sipmesh.storage.audit import NOTHING_ABOUT, Audit, AuditLine
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.database import Database
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.versions.publication import HIGHEST, KIND, Publication

_schema = sql.MetaData()
_versions = sql.Table(
    "versions",
    _schema,
    sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("digest", sql.Text, nullable=False, unique=True),
    sql.Column("at", sql.Text, nullable=False),
    sql.Column("who", sql.Text, nullable=False),
    sql.Column("why", sql.Text, nullable=False),
    sql.Column("forced", sql.Boolean, nullable=False),
    sql.Column("jws", sql.LargeBinary, nullable=False),
)
# What the next version must not be below, each with the reason that the audit log has.
_floors = sql.Table(
    "versions_floors",
    _schema,
    sql.Column("at_least", sql.BigInteger, primary_key=True, autoincrement=False),
)
_FACTS = (
    _versions.c.number,
    _versions.c.digest,
    _versions.c.at,
    _versions.c.who,
    _versions.c.why,
    _versions.c.forced,
)


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of one version; *digest* is the SHA-256 in hex of the signed document."""

    number: int
    digest: str
    at: datetime
    by: str
    why: str
    forced: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """One version with the signed document, in its exact bytes."""

    version: Version
    jws: bytes

    def __repr__(self) -> str:
        return f"<Kept {self.version.number}, {len(self.jws)} octets>"


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a version that is about to be made; *previous* and *audit* are as a publication carries them."""

    number: int
    previous: str
    audit: str


class History:
    """The versions of one organisation, in the database of its audit log."""

    __slots__ = ("_audit", "_database")

    def __init__(self, database: Database, audit: Audit) -> None:
        """Make what is not there yet; raises `OperatorError` where the database cannot be used."""
        self._database, self._audit = database, audit
        with database.setting_up() as db:
            for table in _schema.sorted_tables:
                db.execute(CreateTable(table, if_not_exists=True))
            guard(db, "versions", "number")

    def __repr__(self) -> str:
        return f"<History in {self._database.where}>"

    def publish(
        self,
        base: int,
        make: Callable[[Slot], bytes],
        who: str,
        why: str,
        *,
        at: datetime,
        dangers: Sequence[str] = (),
        act: AuditAct = AuditAct.PUBLISH,
        about: Mapping[str, Any] = NOTHING_ABOUT,
    ) -> Version:
        """Keep a new version and its line in the audit log: both are on the disk when this returns, or neither is.

        Args:
            base: The number of the version that the operator compared with; 0 where there was none.
            make: Gives the signed document for its place. Nothing is kept if it raises, and no number is used up.
            who: Who publishes.
            why: In their words.
            at: Now.
            dangers: What the operator was warned of and went on (`topology.versions.breaking_changes`): a line of its own.
            act: `AuditAct.PUBLISH` or `AuditAct.ROLLBACK`.
            about: What else the line shall tell.

        Raises:
            OperatorError: Somebody else has published since *base*.
        """
        with self._audit.changing() as db:
            head = self._head(db)
            self._must_be(db, base, head)
            slot = Slot(self._next(db, head), head.digest if head else "", self._audit.head_in(db))
            jws = make(slot)
            version = Version(slot.number, digest_of(jws), _utc(at), who, why, bool(dangers))
            told = {"number": version.number, "digest": version.digest, "base": base, "why": why, **about}
            db.execute(_versions.insert().values(_row(version, jws)))
            self._audit.add(db, who, act, told, at=at)
            if dangers:
                about_it = {"number": version.number, "dangers": list(dangers)}
                self._audit.add(db, who, AuditAct.FORCED, about_it, at=at)
        return version

    def jump(self, at_least: int, who: str, why: str, *, at: datetime) -> int:
        """Let the next version have the number *at_least*, or a higher one; returns which it will have.

        It is for a backup that was restored: servers may have seen versions that this history does not know of.
        """
        if not 1 <= at_least <= HIGHEST:
            raise OperatorError(f"{at_least} is not a version number; give a number from 1 to {HIGHEST}")
        with self._audit.changing() as db:
            known = db.execute(sql.select(_floors.c.at_least).where(_floors.c.at_least == at_least)).first()
            if known is None:
                db.execute(_floors.insert().values(at_least=at_least))
            number = self._next(db, self._head(db))
            self._audit.add(db, who, AuditAct.RESTORE, {"next_version": number, "why": why}, at=at)
        return number

    def head(self) -> Version | None:
        """The newest version, None before the first."""
        with self._database.border(), self._database.engine.connect() as db:
            return self._head(db)

    def get(self, number: int) -> Kept:
        """One version with its document; raises `OperatorError` for a number that there never was."""
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(*_FACTS, _versions.c.jws).where(_versions.c.number == number)).first()
            head = self._head(db)
        if row is None:
            known = f"the newest version is {head.number}" if head else "there is no published version yet"
            raise OperatorError(
                f"there is no version {number}: {known}; to list the versions: sipmesh topology history"
            )
        return Kept(_version(row), bytes(row.jws))

    def list(self) -> Sequence[Version]:
        """Every version, the oldest first."""
        with self._database.border(), self._database.engine.connect() as db:
            return [_version(row) for row in db.execute(sql.select(*_FACTS).order_by(_versions.c.number))]

    def verify(self) -> Sequence[str]:
        """What does not fit in the audit log and in the versions, each in one sentence; nothing if all is well.

        Every version must be the one that was signed, follow the one before, and have its line in the log; and the head
        of the log that it carries must be that of the line before its own. Whether its signer is believed is not asked.
        """
        faults = self._audit.verify()
        try:
            lines = {line.about.get("number"): line for line in self._audit.read() if line.act in _PUBLISHING}
        except OperatorError:
            return faults  # they name the line that cannot be read
        before = ""
        for version in self.list():
            misfits = _misfits(self.get(version.number), before, lines.pop(version.number, None))
            faults += (f"version {version.number}: {why}" for why in misfits)
            before = version.digest
        return [*faults, *(f"line {one.seq} names version {number}, which is missing" for number, one in lines.items())]

    def _must_be(self, db: sql.Connection, base: int, head: Version | None) -> None:
        number = head.number if head else 0
        if number == base:
            return
        since = [_version(row) for row in db.execute(sql.select(*_FACTS).where(_versions.c.number > base))]
        told = "; ".join(f"version {one.number} by {one.by} at {one.at:%Y-%m-%d %H:%M:%S}Z: {one.why}" for one in since)
        remedy = "see the changes with `sipmesh topology diff`, add them to your draft, and publish again"
        raise OperatorError(f"another operator has published after version {base}: {told or 'nothing'}; {remedy}")

    @staticmethod
    def _head(db: sql.Connection) -> Version | None:
        row = db.execute(sql.select(*_FACTS).order_by(_versions.c.number.desc()).limit(1)).first()
        return _version(row) if row else None

    @staticmethod
    def _next(db: sql.Connection, head: Version | None) -> int:
        floor = db.execute(sql.select(sql.func.coalesce(sql.func.max(_floors.c.at_least), 1))).scalar_one()
        return max(head.number + 1 if head else 1, int(floor))


_PUBLISHING = frozenset({AuditAct.PUBLISH, AuditAct.ROLLBACK})


def digest_of(jws: bytes) -> str:
    """What a version is known by everywhere: the SHA-256 in hex of its signed document."""
    return hashlib.sha256(jws).hexdigest()


def _misfits(kept: Kept, before: str, line: AuditLine | None) -> Iterator[str]:
    """What is wrong with one version after the one with the digest *before*; *line* is what the log has of it."""
    version = kept.version
    if digest_of(kept.jws) != version.digest:
        yield "its document differs from the published document"
    if line is None:
        yield "the audit log has no line for it"
    elif line.about.get("digest") != version.digest:
        yield f"line {line.seq} of the audit log has the hash of another document"
    try:
        publication = Publication.decode(open_signed(kept.jws, KIND).payload)
    except MalformedDocumentError as wrong:
        yield str(wrong)
        return
    if publication.number != version.number:
        yield f"its document says that it is version {publication.number}"
    if publication.previous != before:
        yield "its hash of the version before is wrong"
    if line is not None and publication.audit != line.previous:
        yield "its hash of the audit log is not that of the line before it"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise LocalError("an instant in the history needs a timezone")
    return at.astimezone(UTC)


def _row(version: Version, jws: bytes) -> dict[str, Any]:
    return {
        "number": version.number,
        "digest": version.digest,
        "at": version.at.isoformat(),
        "who": version.by,
        "why": version.why,
        "forced": version.forced,
        "jws": jws,
    }


def _version(row: Any) -> Version:
    return Version(row.number, row.digest, datetime.fromisoformat(row.at), row.who, row.why, row.forced)
