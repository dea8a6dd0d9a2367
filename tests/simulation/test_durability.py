"""Each fsync of the product, left out in turn: a disk that forgets what was not synced shows that something is lost."""

from __future__ import annotations

import ast
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest
import sqlalchemy as sql

import sipmesh
from simulation.databases import Databases
from simulation.disk import Disk
from simulation.patches import _files
from simulation.processes import CURRENT, Process, ProcessState
from sipmesh.cli.users import user_table
from sipmesh.database.connection import Database
from sipmesh.demo.organisation import Organisation
from sipmesh.pki import files
from sipmesh.server.replication.publication_record import PublicationRecordFile
from sipmesh.server.replication.stored_users import StoredUsers
from sipmesh.storage import keyfile
from sipmesh.storage.backup.create import back_up
from sipmesh.storage.call_records.journal import Journal, line_of
from sipmesh.storage.framed_log import FramedLog
from sipmesh.topology.document import changes
from support.recording import record

SOURCE = Path(sipmesh.__file__).parent
TRIES = 24
"""Losses of power after the same act: each name survives by chance."""

FEWER = 6
"""The same for a backup, whose key costs a quarter of a second."""

Site = tuple[str, str]
"""The file below the package, and the function, that makes something durable."""

Act = Callable[[Path], None]
Holds = Callable[[Path], bool]


def _sites() -> Iterator[Site]:
    """Find each function that calls os.fsync."""
    for file in sorted(SOURCE.rglob("*.py")):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef) and any(map(_is_fsync, ast.walk(function))):
                yield file.relative_to(SOURCE).as_posix(), function.name


def _is_fsync(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "os.fsync"


class Machine:
    """A machine with a folder on a virtual disk, on which the fsync of one *site* does nothing."""

    def __init__(self, folder: Path, number: int, site: Site | None) -> None:
        self.folder, self._site = folder, site
        self._disk = Disk(random.Random(number), lambda process: setattr(process, "state", ProcessState.DEAD))
        self._databases = Databases(folder / "servers", lambda: 0.0, lambda wall: wall())

    def run(self, act: Act) -> None:
        """Let the product act, and take the power from it at once."""
        token = CURRENT.set(Process("fe1", str(self.folder)))
        with ExitStack() as stack:
            for target, name, replacement in (*_files(self._disk), *self._databases.replacements()):
                stack.enter_context(patch.object(target, name, replacement))
            stack.enter_context(patch.object(os, "fsync", self._fsync))
            act(self.folder)
        CURRENT.reset(token)
        self._databases.end()
        self._disk.lose_power(self.folder)
        self._databases.lose_power(self.folder)

    def _fsync(self, descriptor: int) -> None:
        frame = sys._getframe(1)
        file = Path(frame.f_code.co_filename)
        site = file.relative_to(SOURCE).as_posix() if file.is_relative_to(SOURCE) else "", frame.f_code.co_name
        if site != self._site:
            self._disk.synced(descriptor)


def _framed(folder: Path, *records: bytes) -> FramedLog:
    log = FramedLog(folder / "log")
    log.replace(records)
    return log


def _append(folder: Path) -> None:
    _framed(folder, b"one").append([b"two"])


def _cut(folder: Path) -> None:
    log = _framed(folder, b"one")
    with log.file.open("ab") as opened:
        opened.write(b"damaged")
        opened.flush()
    descriptor = os.open(log.file, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    log.cut(log.read())


def _records(folder: Path) -> tuple[bytes, ...]:
    return FramedLog(folder / "log").read().records


def _replace_draft(folder: Path) -> None:
    draft = folder / "topology.yaml"
    files.write(draft, b"old")
    changes._replace(draft, b"new")


def _erase(folder: Path) -> None:
    journal = Journal(folder, "fe1")
    files.write(journal.file(1), line_of(record(caller="bob@example.test")))
    journal.erase(["bob@example.test"])


def _write_topology(folder: Path) -> None:
    Organisation(folder, "example.test", "", {}, {"sipmesh": 1}).write()


def _topology(folder: Path) -> str:
    file = folder / "topology.yaml"
    return file.read_text() if file.exists() else "nothing"


def _back_up(folder: Path) -> None:
    (folder / "n").mkdir(exist_ok=True)
    with (
        patch("sipmesh.storage.backup.create._load_draft_or_version"),
        patch("sipmesh.storage.backup.create._entries", return_value=[("a", b"content", 0o600)]),
        patch("sipmesh.storage.backup.create._elsewhere", return_value=()),
        patch("sipmesh.storage.backup.create.Manifest"),
        patch("sipmesh.storage.backup.create._users_entry"),
    ):
        back_up(
            folder / "topology.yaml", folder / "n" / "backup", "a long passphrase", datetime(2030, 1, 1, tzinfo=UTC)
        )
    _sizes[folder] = (folder / "n" / "backup").stat().st_size


_sizes: dict[Path, int] = {}


def _is_backed_up(folder: Path) -> bool:
    backup = folder / "n" / "backup"
    return backup.exists() and backup.stat().st_size == _sizes[folder]


def _content(folder: Path, name: str) -> bytes:
    file = folder / name
    return file.read_bytes() if file.exists() else b""


ACTS: dict[Site, tuple[Act, Holds]] = {
    ("pki/files.py", "_write_beside"): (
        lambda folder: files.write(folder / "a", b"new"),
        lambda folder: _content(folder, "a") == b"new",
    ),
    ("pki/files.py", "sync_folder"): (
        lambda folder: files.write(folder / "a", b"new"),
        lambda folder: _content(folder, "a") == b"new",
    ),
    ("storage/keyfile.py", "_write_durably"): (
        lambda folder: keyfile._create(folder / "a", b"secret"),
        lambda folder: _content(folder, "a") == b"secret",
    ),
    ("storage/framed_log.py", "append"): (_append, lambda folder: _records(folder) == (b"one", b"two")),
    ("storage/framed_log.py", "cut"): (_cut, lambda folder: _content(folder, "log").endswith(b"\none\n")),
    ("storage/backup/create.py", "back_up"): (_back_up, _is_backed_up),
    ("cli/users/user_table.py", "write_new"): (
        lambda folder: user_table.write_new(folder / "passwords.csv", "alice,secret\n", 0o600),
        lambda folder: _content(folder, "passwords.csv") == b"alice,secret\n",
    ),
    ("storage/call_records/journal.py", "erase"): (
        _erase,
        lambda folder: b"bob" not in _content(folder, "fe1-00000001.jsonl"),
    ),
    ("topology/document/changes.py", "_replace"): (_replace_draft, lambda folder: _topology(folder) == "new"),
    ("demo/organisation.py", "write"): (
        _write_topology,  # completely or not at all: no reader learns that it is there
        lambda folder: _topology(folder) in {"nothing", "sipmesh: 1\n"},
    ),
}
"""What each site makes durable: an act of the product, and what has to hold after a loss of power."""


def _losses(tmp_path: Path, act: Act, holds: Holds, site: Site | None) -> int:
    """Return in how many of the tries something is lost."""
    lost = 0
    for number in range(TRIES if act is not _back_up else FEWER):
        folder = tmp_path / str(number)
        folder.mkdir(parents=True)
        Machine(folder, number, site).run(act)
        lost += not holds(folder)
    return lost


@pytest.mark.wide
def test_each_fsync_has_an_act() -> None:
    """Who adds an fsync adds what would be lost without it."""
    assert set(_sites()) == ACTS.keys()


@pytest.mark.wide
@pytest.mark.parametrize("site", ACTS)
def test_an_fsync_that_is_left_out_is_found(tmp_path: Path, site: Site) -> None:
    assert _losses(tmp_path, *ACTS[site], site) > 0


@pytest.mark.parametrize("site", ACTS)
def test_nothing_is_lost_with_each_fsync(tmp_path: Path, site: Site) -> None:
    assert _losses(tmp_path, *ACTS[site], None) == 0


NAMED: Final = (
    ("storage/keyfile.py", "_write_durably"),
    ("storage/backup/create.py", "back_up"),
    ("cli/users/user_table.py", "write_new"),
)


@pytest.mark.wide
@pytest.mark.parametrize("named", NAMED)
def test_a_new_name_is_lost_without_the_fsync_of_its_folder(tmp_path: Path, named: Site) -> None:
    """The content alone is not enough: a power cut would take the key, the backup or the passwords with its name."""
    assert _losses(tmp_path, *ACTS[named], ("pki/files.py", "sync_folder")) > 0


def test_users_that_were_taken_out_of_use_stay_so(tmp_path: Path) -> None:
    """On a full disk a server renames the stored users, so that an old password does not count after the next start."""

    def act(folder: Path) -> None:
        files.write(folder / "users", b"old")
        _machine_of_users(folder)._mark_behind()

    def holds(folder: Path) -> bool:
        return not (folder / "users").exists() and (folder / "users-behind").exists()

    assert _losses(tmp_path / "with", act, holds, None) == 0
    assert _losses(tmp_path / "without", act, holds, ("pki/files.py", "sync_folder")) > 0


def _machine_of_users(folder: Path) -> StoredUsers:
    return StoredUsers(folder / "users", PublicationRecordFile(folder, "fe1"), list)


@pytest.mark.parametrize(("setting", "lost"), [("FULL", False), ("NORMAL", True), ("OFF", True)])
def test_a_commit_is_durable_if_the_database_syncs_it(tmp_path: Path, setting: str, *, lost: bool) -> None:
    """SQLite syncs a commit in WAL mode with FULL only, which is what the product sets."""
    table = sql.Table("things_schema", sql.MetaData(), sql.Column("fact", sql.Text))  # the name of a table of ours

    def act(folder: Path) -> None:
        database = Database(folder / "x.db", "things")
        table.create(database.engine)
        if setting != "FULL":
            sql.event.listen(
                database.engine, "connect", lambda db, _: db.cursor().execute(f"PRAGMA synchronous = {setting}")
            )
        with database.engine.begin() as db:
            db.execute(table.insert().values(fact="committed"))

    def holds(folder: Path) -> bool:
        with Database(folder / "x.db", "things").engine.connect() as db:
            return db.execute(sql.select(table.c.fact)).scalars().all() == ["committed"]

    assert (_losses(tmp_path, act, holds, None) > 0) is lost
