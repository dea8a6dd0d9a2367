"""A backup: everything that an organisation would lose with the host of its management, in one encrypted file.

It contains the CA with its keys and ledger, the draft, the files that the topology names, the history with the audit log, and
the users. A database is copied as it is at one instant, even while it is written. Of users in PostgreSQL the rows are copied. The
state that servers store between their starts is left out: they create it again.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Self

from sipmesh.database.shared import DATABASE, SharedDatabase
from sipmesh.errors import OperatorError, Problem
from sipmesh.foreign_errors import reason_of
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.files import sync_folder
from sipmesh.pki.ledger.ledger import MOVED, Ledger
from sipmesh.storage.backup.vault import ENTROPY_BYTES, Sealing
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.strict_json import read_json
from sipmesh.topology.document.file_kind import REGISTRATIONS
from sipmesh.topology.document.file_names import named_files
from sipmesh.topology.document.load import load
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded

FORMAT: Final = 1
MANIFEST: Final = "backup.json"
CA: Final = "ca"
EXPORTED_USERS: Final = "users-export.db"
ELSEWHERE: Final = "elsewhere"
"""The folder in a backup for files that the topology names outside of the organisation's folder."""

BUSY_S: Final = 30.0
_DATABASES: Final = {".db"}
_BESIDE_A_DATABASE: Final = ("-wal", "-shm", "-journal")
SECRET: Final = 0o600


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description in a backup.

    *users* is the entry with the users. *elsewhere* maps the path of a file outside of the folder to its entry.
    """

    organisation: str
    at: datetime
    users: str
    elsewhere: dict[str, str]

    def encode(self) -> bytes:
        """Return the manifest as JSON."""
        facts = {"organisation": self.organisation, "at": self.at.isoformat(), "users": self.users}
        return json.dumps({"format": FORMAT, **facts, "elsewhere": self.elsewhere}, indent=1).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read a manifest; raises `OperatorError` for another format."""
        try:
            document: dict[str, Any] = read_json(content)
            at = datetime.fromisoformat(document["at"])
            found = cls(str(document["organisation"]), at, str(document["users"]), dict(document["elsewhere"]))
        except (ValueError, KeyError, TypeError) as wrong:
            raise OperatorError(f"the backup was made by another release of sipmesh: {reason_of(wrong)}") from None
        if document.get("format") != FORMAT or at.tzinfo is None:
            raise OperatorError(f"the backup was made by another release of sipmesh: format {document.get('format')}")
        return found


def back_up(document: Path, to: Path, passphrase: str, at: datetime) -> Manifest:
    """Write a backup of the organisation with the draft *document* to the new file *to*, which only its owner can read.

    Raises `OperatorError` if *to* exists or cannot be written, and if the passphrase is too short. It is also raised if
    neither the draft nor a published version can be read. *at* has a time zone.
    """
    loaded = _load_draft_or_version(document)
    if to.exists():
        raise OperatorError(
            "sipmesh does not overwrite a backup", (Problem(to, 0, "", "exists already", "name a new file"),)
        )
    if not to.parent.is_dir():
        raise OperatorError(
            "the backup cannot be written",
            (Problem(to.parent, 0, "", "is not a folder", "create the folder, or name another folder"),),
        )
    users = loaded
    with suppress(OperatorError):  # a version that cannot be read names no users
        users = _in_force(document) or loaded
    elsewhere = _elsewhere(loaded, users)
    manifest = Manifest(loaded.topology.organisation, at.astimezone(UTC), _users_entry(users, elsewhere), elsewhere)
    descriptor, beside = tempfile.mkstemp(prefix=f".{to.name}.", dir=to.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            sealing = Sealing(stream, passphrase, os.urandom(ENTROPY_BYTES))
            with tarfile.open(fileobj=sealing, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for name, content, mode in _entries(loaded, users, manifest):
                    _add(tar, name, content, mode, at)
            sealing.finish()
            stream.flush()
            os.fsync(stream.fileno())
        Path(beside).rename(to)
        sync_folder(to.parent)
    finally:
        Path(beside).unlink(missing_ok=True)
    return manifest


def _load_draft_or_version(document: Path) -> Loaded:
    """Return the draft, or the newest published version if the draft has problems; raises `OperatorError`."""
    try:
        return load(document)
    except OperatorError:
        newest = _in_force(document)
        if newest is None:
            raise
        return newest


def _in_force(document: Path) -> Loaded | None:
    newest = _newest_version(document.parent)
    return load_published(newest, document.parent) if newest is not None else None


def _newest_version(folder: Path) -> Publication | None:
    file = folder / DATABASE
    if SharedDatabase.find(folder) is not None:
        return _newest_shared(folder)
    if not file.is_file():
        return None
    with closing(sqlite3.connect(file, timeout=BUSY_S)) as db, suppress(sqlite3.Error):
        row = db.execute("SELECT jws FROM versions ORDER BY number DESC LIMIT 1").fetchone()
        return Publication.decode(open_signed(bytes(row[0]), KIND).payload) if row else None
    return None


def _newest_shared(folder: Path) -> Publication | None:
    management_db = ManagementDb(folder)
    try:
        head = management_db.history.head()
        jws = management_db.history.get(head.number).jws if head is not None else b""
        return Publication.decode(open_signed(jws, KIND).payload) if jws else None
    finally:
        management_db.close()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int, at: datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, int(at.timestamp())
    tar.addfile(entry, io.BytesIO(content))


def _entries(loaded: Loaded, users: Loaded, manifest: Manifest) -> Iterator[tuple[str, bytes, int]]:
    """Return every file with its name in the backup, its content and its mode; the manifest first.

    The users are those of *users*, the version in force: a database that only the draft names is not opened.
    """
    folder = loaded.folder
    yield MANIFEST, manifest.encode(), SECRET
    written: set[str] = set()
    for file in _own(folder, loaded, users):
        name = file.relative_to(folder).as_posix()
        if name not in written and file.is_file():
            written.add(name)
            yield name, _content(file), file.stat().st_mode & 0o777
    for original, name in manifest.elsewhere.items():
        yield name, _content(Path(original)), Path(original).stat().st_mode & 0o777
    if SharedDatabase.find(folder) is not None:
        for name, content in _exported_management(folder):
            yield name, content, SECRET
    if users.users_file is None:
        yield EXPORTED_USERS, _exported(users.users_url), SECRET


def _own(folder: Path, loaded: Loaded, users: Loaded) -> Iterator[Path]:
    """Return the files below *folder* that a backup contains."""
    yield folder / "topology.yaml"
    yield loaded.file
    yield folder / DATABASE
    yield from (file for file in sorted((folder / CA).rglob("*")) if not _is_left_out(file))
    yield from (folder / name for name in _named(loaded, users) if _is_inside(folder, name))


def _is_left_out(file: Path) -> bool:
    """Return whether a file is a lock, temporary, beside an SQLite database in use, or was moved to a shared database."""
    return file.name.startswith(".") or file.name.endswith((*_BESIDE_A_DATABASE, MOVED))


def _elsewhere(loaded: Loaded, users: Loaded) -> dict[str, str]:
    """Return the files that the topology names outside of its folder, and their names in the backup."""
    outside = [name for name in _named(loaded, users) if not _is_inside(loaded.folder, name)]
    found = dict.fromkeys(str((loaded.folder / name).resolve()) for name in outside if (loaded.folder / name).is_file())
    return {original: f"{ELSEWHERE}/{n}-{PurePosixPath(original).name}" for n, original in enumerate(found, 1)}


def _users_entry(loaded: Loaded, elsewhere: dict[str, str]) -> str:
    file = loaded.users_file
    if file is None:
        return EXPORTED_USERS
    inside = file.resolve().is_relative_to(loaded.folder.resolve())
    return file.relative_to(loaded.folder).as_posix() if inside else elsewhere.get(str(file.resolve()), "")


def _is_inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve()) and not PurePosixPath(name).is_absolute()


def _named(loaded: Loaded, users: Loaded) -> Iterator[str]:
    """Return every file that the topology names or that its servers have by default, and the file of the *users*."""
    yield from (file.name for file in named_files(loaded.topology) if file.kind is not REGISTRATIONS)
    for pool in loaded.topology.pools:
        for server in pool.servers:
            yield from (server.certificate_file, server.key_file)
            if pool.role is Role.MANAGEMENT:
                yield from (server.signer_certificate_file, server.signer_key_file)
    if users.users_file is not None:
        inside = users.users_file.is_relative_to(users.folder)
        yield str(users.users_file.relative_to(users.folder) if inside else users.users_file)


def _content(file: Path) -> bytes:
    """Return the content of a file; raises `OperatorError` for a database that cannot be read."""
    if file.suffix not in _DATABASES:
        return file.read_bytes()
    try:
        return snapshot(file)
    except sqlite3.Error as wrong:
        problem = Problem(file, 0, "", str(wrong), "check that the file is a database and is readable")
        raise OperatorError("a database cannot be copied", (problem,)) from None


def snapshot(file: Path) -> bytes:
    """Return an SQLite database as it is at one instant, even while it is written; no copy is written to a disk."""
    with closing(sqlite3.connect(file, timeout=BUSY_S)) as source, closing(sqlite3.connect(":memory:")) as copy:
        source.backup(copy)
        return copy.serialize()


def _exported(url: str) -> bytes:
    """Return the rows of a user database that is not a file, as the content of an SQLite file."""
    with tempfile.TemporaryDirectory() as folder:  # 0700
        file = Path(folder) / EXPORTED_USERS
        copy_users(url, file)
        return snapshot(file)


def _exported_management(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Return history, audit log and ledgers of a shared database, as the files of a host that has its own."""
    with tempfile.TemporaryDirectory() as made:  # 0700
        ours, copy = ManagementDb(folder), ManagementDb(Path(made))
        ours.copy_to(copy)
        for opened in (ours, copy):
            opened.close()
        yield DATABASE, snapshot(Path(made) / DATABASE)
        generations = CaGenerations(folder / CA)
        for number in generations.numbers:
            source, to = generations.folder_of(number), Path(made) / f"ca-{number}"
            to.mkdir()
            Ledger.of(source).copy_to(ledger := Ledger(to))
            yield (source / ledger.file.name).relative_to(folder).as_posix(), snapshot(ledger.file)


def copy_users(source: str | Path, target: str | Path) -> int:
    """Copy all users into a database without users; returns their number.

    Raises `OperatorError` if a database cannot be used, and if the target has users.
    """
    opened: list[Users] = []
    try:
        opened += [Users(source)]
        opened += [Users(target)]
        return opened[0].copy_to(opened[1])
    finally:
        for users in opened:
            users.close()
