"""The folder of an organisation as one text: what a release has left behind, kept for the tests of later releases.

A database is the SQL that makes it; a text is itself; other octets are in base64. Each file has its mode.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

RECORDED: Final = Path(__file__).with_name("recorded")
DATABASE_URL: Final = "postgresql+psycopg://sipmesh@/sipmesh"
"""The database of a recorded folder that is in PostgreSQL. The environment says where it is (PGHOST, PGPASSWORD)."""

RELEASES: Final = tuple(sorted(file.stem for file in RECORDED.glob("*.commit")))
"""The releases and builds whose folders and links this release has to understand."""

BEFORE: Final = max((name for name in RELEASES if "." in name), key=lambda name: [int(n) for n in name.split(".")])
"""The newest of them that has a number: an update from it, and the way back to it, are promised."""

LEFT_OUT: Final = {".sock", ".log", ".lock", ".versions", ".db-wal", ".db-shm", ".spoiled"}
"""Ends of names that mean nothing after the servers have ended."""

PASSWORDS: Final = "passwords.json"
"""A file of the recorder in the folder: the password of each user."""

KEPT_AS_NUMBERS: Final = ("user_version", "application_id")


def fold(folder: Path) -> dict[str, Any]:
    """Give each file below *folder*, by its path in it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not left_out(file))
    return {file.relative_to(folder).as_posix(): {"mode": _mode(file), **_content(file)} for file in files}


def left_out(file: Path) -> bool:
    """Tell whether a file is of no use to later servers."""
    return any(file.name.endswith(end) for end in LEFT_OUT)


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def _content(file: Path) -> dict[str, Any]:
    octets = file.read_bytes()
    if octets.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(file)) as db:
            numbers = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in KEPT_AS_NUMBERS}
            return {"pragma": numbers, "sql": list(db.iterdump())}
    try:
        return {"text": octets.decode("ascii").splitlines(keepends=True)}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(octets).decode()}


def unfold(files: Mapping[str, Any], folder: Path) -> None:
    """Make each of *files* below *folder*."""
    for name, entry in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(0o600)
        if "sql" in entry:
            _build(file, entry)
        else:
            file.write_bytes("".join(entry["text"]).encode() if "text" in entry else base64.b64decode(entry["base64"]))
        file.chmod(int(entry["mode"], 8))


def _build(file: Path, entry: Mapping[str, Any]) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.executescript("\n".join(entry["sql"]))
        for name, number in entry["pragma"].items():
            db.execute(f"PRAGMA {name} = {number}")


def recorded(release: str, folder: Path) -> None:
    """Unfold the folder that *release* has left behind: `0.1.0`, or `0.1.0-partner`."""
    unfold(json.loads((RECORDED / f"{release}.json").read_text()), folder)


def record(release: str, folder: Path) -> None:
    """Keep *folder* as the folder that *release* leaves behind."""
    (RECORDED / f"{release}.json").write_text(json.dumps(fold(folder), indent=1) + "\n")


def commit_of(release: str) -> str:
    """Give the commit of *release*, whose sources run in the tests."""
    return _commit_file(release).read_text().strip()


def record_commit(release: str, commit: str) -> None:
    """Keep *commit* as that of *release*."""
    _commit_file(release).write_text(f"{commit}\n")


def _commit_file(release: str) -> Path:
    return RECORDED / f"{release}.commit"
