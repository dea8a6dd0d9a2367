"""The file of an SQLite database."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sipmesh.database.private_file import create_private
from sipmesh.errors import OperatorError

READ = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT count(*) FROM t").fetchone()[0])
db.close()
"""


def read_by_another_process(path: Path) -> int:
    """Open the database in another process, read it, and close it."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    create_private(tmp_path / "new.db")
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    with pytest.raises(FileNotFoundError):
        create_private(tmp_path / "missing" / "new.db")


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize(("mode", "what"), [(0o666, "changed"), (0o620, "changed"), (0o644, "read"), (0o640, "read")])
def test_file_to_which_others_have_a_right_is_not_used(tmp_path: Path, end: str, mode: int, what: str) -> None:
    """The error names the file and the command. After that command the database is used."""
    tmp_path.chmod(0o755)
    path, file = tmp_path / "one.db", tmp_path / f"one.db{end}"
    create_private(path)
    file.touch()
    file.chmod(mode)
    with pytest.raises(
        OperatorError, match=rf"{file}: has mode {mode:04o}: other users may have {what} it; run `chmod 600 {file}`"
    ):
        create_private(path)
    file.chmod(0o600)
    create_private(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_right_to_read_that_a_closed_folder_has_given_to_no_user_is_taken_away(tmp_path: Path, mode: int) -> None:
    """Releases before 0.1.0 made the ledger of a CA so. A right to write is refused there, too: it was given on purpose."""
    path = tmp_path / "ledger.db"
    path.touch()
    path.chmod(mode)
    create_private(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(mode | 0o020)
    with pytest.raises(OperatorError, match="other users may have changed it"):
        create_private(path)


def test_open_database_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    create_private(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (x)")
        for number in (1, 2):
            create_private(path)
            db.execute("INSERT INTO t VALUES (1)")
            assert read_by_another_process(path) == number


@pytest.mark.skipif(sqlite3.sqlite_version_info >= (3, 53), reason="SQLite 3.53 keeps its locks")
def test_process_that_opens_and_closes_the_file_itself_loses_the_locks(tmp_path: Path) -> None:
    """The next process that ends removes the WAL. This is why `create_private` opens no file that is there."""
    path = tmp_path / "one.db"
    create_private(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (1)")
        path.open("r+b").close()
        assert read_by_another_process(path) == 1
        db.execute("INSERT INTO t VALUES (1)")
        assert read_by_another_process(path) == 1
