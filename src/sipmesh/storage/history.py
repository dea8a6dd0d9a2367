"""Every published version of the topology, in its exact signed octets, with who, when and why.

A version and its line in the audit log are one transaction. Version numbers only rise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.database.number_ceilings import VERSIONS
from sipmesh.database.schema import MANAGEMENT
from sipmesh.errors import LocalError, OperatorError
from sipmesh.storage.append_only import copy_rows
from sipmesh.storage.audit import NOTHING_ABOUT, Audit, AuditLine
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.seen_users import GO_ON
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
# The lowest numbers for the next version; the audit log has the reason for each.
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
    """The facts about one version; *digest* is the SHA-256 in hex of the signed document, *at* is UTC."""

    number: int
    digest: str
    at: datetime
    by: str
    why: str
    forced: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """One version with its signed document, in its exact octets."""

    version: Version
    jws: bytes

    def __repr__(self) -> str:
        return f"<Kept {self.version.number}, {len(self.jws)} octets>"


@dataclass(frozen=True, slots=True)
class Slot:
    """The number of a version that is about to be made; *previous* and *audit* are fields of its publication.

    *fencing* is the number under which its signer leads.
    """

    number: int
    previous: str
    audit: str
    fencing: int = 0


class History:
    """The versions of one organisation, in the database of its audit log."""

    __slots__ = ("_audit", "_database", "_lease")

    def __init__(self, database: Database, audit: Audit, lease: Lease) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used."""
        self._database, self._audit, self._lease = database, audit, lease
        database.migrate(MANAGEMENT)

    def publish(
        self,
        base: int,
        make: Callable[[Slot], bytes],
        who: str,
        why: str,
        *,
        at: datetime,
        dangers: Sequence[str] = (),
        grants: Sequence[str] = (),
        act: AuditAct = AuditAct.PUBLISH,
        about: Mapping[str, Any] = NOTHING_ABOUT,
        refused: Collection[str] = (),
        at_least: int = 0,
    ) -> Version:
        """Store a new version and its line in the audit log: both are on the disk when this returns, or neither is.

        Args:
            base: The number of the version that the operator compared with; 0 if there was none.
            make: Returns the signed document for its slot. If it raises, nothing is stored, and the number is not used up.
            who: Who publishes.
            why: The reason in the operator's words.
            at: The time of the publication, with a time zone.
            dangers: What the version breaks by `--force` (`topology.versions.breaking_changes`): they get a line of their own.
            grants: What the version gives a person or a server (`topology.versions.grants`): each grant has a line too.
            act: `AuditAct.PUBLISH` or `AuditAct.ROLLBACK`.
            about: Additional facts for the line.
            refused: The digests of versions that do not count on this server: they do not follow *base*.
            at_least: The lowest number that the version may have: servers have seen the one below. If it is above *base*, the
                history may lack *base*.

        Raises:
            OperatorError: Another operator has published after *base*; the history is older than *base*; or the next number is
                beyond what can be reached by now.
        """
        highest = VERSIONS.at(at, base)
        with self._audit.changing() as db:
            head, number = self._head(db, highest, refused), max(self._next(db, at, base), at_least)
            self._must_be(db, base, head, overtakes=at_least > base)
            slot = Slot(number, head.digest if head else "", self._audit.head_in(db), self._lease.fencing)
            jws = make(slot)
            version = Version(slot.number, digest_of(jws), _utc(at), who, why, bool(dangers))
            facts = {"number": version.number, "digest": version.digest, "base": base, "why": why, **about}
            db.execute(_versions.insert().values(_row(version, jws)))
            self._audit.add(db, who, act, facts, at=at)
            if dangers:
                dangers_entry = {"number": version.number, "dangers": list(dangers)}
                self._audit.add(db, who, AuditAct.FORCED, dangers_entry, at=at)
            if grants:
                self._audit.add(db, who, AuditAct.GRANT, {"number": version.number, "grants": list(grants)}, at=at)
        return version

    def jump(self, at_least: int, who: str, why: str, *, at: datetime) -> int:
        """Let the next version have the number *at_least* or a higher one; returns that number.

        This is for a restored backup: servers may have seen versions that this history does not contain. Raises `OperatorError`
        for a number that cannot be reached by the time *at*.
        """
        if not 1 <= at_least <= HIGHEST:
            raise OperatorError(f"{at_least} is not a version number; give a number from 1 to {HIGHEST}")
        with self._audit.changing() as db:
            last = self._highest(db)
            if why := VERSIONS.why_beyond(at_least, at, last):
                raise OperatorError(f"the next version cannot have that number: {why}")
            known = db.execute(sql.select(_floors.c.at_least).where(_floors.c.at_least == at_least)).first()
            if known is None:
                db.execute(_floors.insert().values(at_least=at_least))
            number = self._next(db, at, last)
            self._audit.add(db, who, AuditAct.RESTORE, {"next_version": number, "why": why}, at=at)
        return number

    @staticmethod
    def copy(source: sql.Connection, target: sql.Connection) -> None:
        """Copy all versions; raises `OperatorError` if *target* has other versions."""
        copy_rows(source, target, _versions, _versions.c.number)
        copy_rows(source, target, _floors, _floors.c.at_least)

    def head(self) -> Version | None:
        """Return the newest version, None if there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            return self._head(db)

    def get(self, number: int) -> Kept:
        """Return one version with its document; raises `OperatorError` if the version does not exist."""
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(*_FACTS, _versions.c.jws).where(_versions.c.number == number)).first()
            head = self._head(db)
        if row is None:
            known = f"the newest version is {head.number}" if head else "there is no published version yet"
            raise OperatorError(
                f"there is no version {number}: {known}; to list the versions: sipmesh topology history"
            )
        return Kept(_version(row), bytes(row.jws))

    def with_digest(self, digest: str) -> Kept | None:
        """Return the version whose row has this digest, None if there is none; the digest of its document is not computed."""
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(*_FACTS, _versions.c.jws).where(_versions.c.digest == digest)).first()
        return Kept(_version(row), bytes(row.jws)) if row is not None else None

    def list(self) -> Sequence[Version]:
        """Return every version whose row can be read, oldest first."""
        return self.since(0)

    def since(self, number: int) -> Sequence[Version]:
        """Return every version after *number* whose row can be read, oldest first."""
        return list(_readable(self._rows_since(number)))

    def unreadable_since(self, number: int) -> Sequence[str]:
        """Return a sentence for each version after *number* whose row cannot be read, because it was changed."""
        return [why for row in self._rows_since(number) if (why := _why_unreadable(row))]

    def _rows_since(self, number: int) -> Sequence[Any]:
        newer = sql.select(*_FACTS).where(_versions.c.number > number).order_by(_versions.c.number)
        with self._database.border(), self._database.engine.connect() as db:
            return db.execute(newer).all()

    def verify(self) -> Sequence[str]:
        """Return the faults of the audit log and of the versions, one sentence for each; empty if there are none.

        Every version must be the signed version, follow the version before, and have a line in the log. The audit hash
        in it must be the hash of the line before its own. The trust in its signer is not checked.
        """
        faults = [*self._audit.verify(), *self.unreadable_since(0)]
        try:
            lines = {line.about.get("number"): line for line in self._audit.read() if line.act in _PUBLISHING}
        except OperatorError:
            return faults  # the faults name the unreadable line
        before = ""
        for version in self.list():
            misfits = _misfits(self.get(version.number), before, lines.pop(version.number, None))
            faults += (f"version {version.number}: {why}" for why in misfits)
            before = version.digest
        return [
            *faults,
            *(f"line {line.seq} names version {number}, which is missing" for number, line in lines.items()),
        ]

    def _must_be(self, db: sql.Connection, base: int, head: Version | None, *, overtakes: bool) -> None:
        number = head.number if head else 0
        if number == base or (number < base and overtakes):
            return
        if number < base:
            raise OperatorError(f"{lacks(base)}; {GO_ON}")
        since = _readable(db.execute(sql.select(*_FACTS).where(_versions.c.number > base)))
        versions = "; ".join(
            f"version {version.number} by {version.by} at {version.at:%Y-%m-%d %H:%M:%S}Z: {version.why}"
            for version in since
        )
        remedy = "see the changes with `sipmesh topology diff`, add them to your draft, and publish again"
        raise OperatorError(f"another operator has published after version {base}: {versions or 'nothing'}; {remedy}")

    @staticmethod
    def _head(db: sql.Connection, highest: int = HIGHEST, refused: Collection[str] = ()) -> Version | None:
        """Return the newest version up to the number *highest* that is not *refused*, and whose row can be read."""
        newest = sql.select(*_FACTS).where(_versions.c.number <= highest, _versions.c.digest.not_in(refused))
        return next(_readable(db.execute(newest.order_by(_versions.c.number.desc()))), None)

    @staticmethod
    def _highest(db: sql.Connection, highest: int = HIGHEST) -> int:
        number = sql.func.coalesce(sql.func.max(_versions.c.number), 0)
        return int(db.execute(sql.select(number).where(_versions.c.number <= highest)).scalar_one())

    @classmethod
    def _next(cls, db: sql.Connection, at: datetime, base: int) -> int:
        """Return the number that follows all up to the highest one at the time *at*; a floor beyond it is an `OperatorError`."""
        highest = VERSIONS.at(at, base)
        floor = int(db.execute(sql.select(sql.func.coalesce(sql.func.max(_floors.c.at_least), 1))).scalar_one())
        remedy = f"remove the rows of versions_floors over {highest}"
        return max(cls._highest(db, highest) + 1, VERSIONS.must_count(floor, at, base, remedy=remedy))


def lacks(number: int) -> str:
    """Say that the database lacks the version *number*, which is in force."""
    what = f"the management database lacks version {number}, which is in force"
    return (
        f"{what}: it is an older state, restored from a dump or of a standby without the last commits, or was changed"
    )


_PUBLISHING = frozenset({AuditAct.PUBLISH, AuditAct.ROLLBACK})


def digest_of(jws: bytes) -> str:
    """Return the digest that identifies a version: the SHA-256 in hex of its signed document."""
    return hashlib.sha256(jws).hexdigest()


def _misfits(kept: Kept, before: str, line: AuditLine | None) -> Iterator[str]:
    """Return the faults of one version; *before* is the digest of the version before, *line* its line in the log."""
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


def _readable(rows: Iterable[Any]) -> Iterator[Version]:
    """Yield the versions of *rows* without those that were changed in the database: they must not stop the others."""
    for row in rows:
        with suppress(OperatorError):
            yield _version(row)


def _why_unreadable(row: Any) -> str:
    try:
        _version(row)
    except OperatorError as wrong:
        return wrong.message
    return ""


def _version(row: Any) -> Version:
    try:
        return Version(row.number, row.digest, _utc(datetime.fromisoformat(row.at)), row.who, row.why, row.forced)
    except (ValueError, TypeError, LocalError) as wrong:
        remedy = "restore the management database from your backup"
        raise OperatorError(f"version {row.number} in the history cannot be read ({wrong}); {remedy}") from None
