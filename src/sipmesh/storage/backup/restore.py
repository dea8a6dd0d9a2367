"""Restores a backup: completely or not at all, and with numbers that were never used before.

A restored CA, history and user database are older than what the network has seen since. So their numbers jump by more than can
have been used meanwhile: by 1,000, and by one for each second since the backup was made. Serial numbers do not jump: they are
random. The fencing number jumps too, so that servers refuse what the lost host signs if it comes back.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Final

from sipmesh.database.shared import has_management_db
from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.regular_file import open_regular
from sipmesh.storage.backup.create import CA, MANIFEST, Manifest
from sipmesh.storage.backup.vault import Opened
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users

JUMP: Final = 1_000
WHY: Final = "restored from a backup"


@dataclass(frozen=True, slots=True)
class Restored:
    """The result: numbers jumped by *jump*; *next_version* is None if nothing was ever published.

    *keys_missing* are CAs whose keys are not in the backup, so that their CRLs could not be signed again.
    """

    manifest: Manifest
    jump: int
    next_version: int | None
    keys_missing: tuple[CertificateKind, ...]


def restore(
    file: Path,
    folder: Path,
    passphrase: str,
    who: str,
    at: datetime,
    last: Callable[[Path], object] | None = None,
) -> Restored:
    """Restore the backup in *file* to *folder*, which must be empty or missing.

    Everything is prepared beside *folder*, and takes its place at the end: a backup that does not open leaves no files.
    *who* is named in the audit log. *last* is called with the prepared folder before it takes its place.

    Raises `OperatorError` for a changed or truncated backup, for a wrong passphrase, and for a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problem = Problem(folder, 0, "", "exists already and is not empty", "name another folder with --dir")
        raise OperatorError("a restore does not overwrite files", (problem,))
    with _beside(folder) as prepared:
        with _reading(file) as stream:
            manifest = unpack(Opened(stream, passphrase), prepared)
        restored = _jump_numbers(prepared, manifest, who, at)
        if last is not None:
            last(prepared)
        prepared.chmod(files.FOLDER)
        prepared.replace(folder)
        files.sync_folder(folder.parent)
    return restored


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Create a folder that only our user may enter, on the same disk; remove it at the end if it still exists."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    prepared = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield prepared
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


@contextmanager
def _reading(file: Path) -> Iterator[IO[bytes]]:
    try:
        stream = open_regular(file)
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "name the file of a backup")
        raise OperatorError("there is nothing to restore", (problem,)) from None
    with stream:
        yield stream


def unpack(opened: Opened, folder: Path) -> Manifest:
    """Write the files of a backup below *folder*, which is empty; raises `OperatorError`, possibly after some files.

    Only regular files below *folder* are accepted; any other entry is refused, even from an attacker who knew the
    passphrase.
    """
    stream = io.BufferedReader(opened)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                _write(tar, entry, folder)
    except tarfile.TarError as wrong:
        raise OperatorError(f"the backup contains no readable archive: {wrong}") from None
    while stream.read(1 << 20):
        pass  # the end of the stream is authenticated only when it is read
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise OperatorError(f"the backup has no {MANIFEST}: sipmesh did not make it")
    found = Manifest.decode(manifest.read_bytes())
    manifest.unlink()
    return found


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    """Write one entry to a new file; other users may read it at most as far as they could before."""
    name = PurePosixPath(entry.name)
    content = tar.extractfile(entry) if entry.isreg() else None
    if content is None or name.is_absolute() or not name.parts or ".." in name.parts or "\0" in entry.name:
        raise OperatorError(f"not restored: the backup contains {entry.name!r}, which is not a file in the folder")
    file = folder.joinpath(*name.parts)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists():
        raise OperatorError(f"not restored: the backup contains {entry.name!r} twice")
    with file.open("xb") as new_file:
        file.chmod(files.SECRET)
        shutil.copyfileobj(content, new_file)
    file.chmod((entry.mode & files.PUBLIC) | files.SECRET)


def _jump_numbers(folder: Path, manifest: Manifest, who: str, at: datetime) -> Restored:
    """Let every number jump, record the restore in the audit log, and sign new CRLs."""
    jump = JUMP + max(0, int((at - manifest.at).total_seconds()))
    next_version, fencing = _jump_management(folder, jump, who, at)
    missing: tuple[CertificateKind, ...] = ()
    for ca in CaGenerations(folder / CA).alive:
        ca.crls.jump(jump, fencing)
        missing += tuple(kind for kind in ca.crls.kinds if not ca.crls.has_key(kind))
        for kind in ca.crls.kinds:
            if ca.crls.has_key(kind):
                ca.crls.publish(at, kind)
    if manifest.users:
        users = Users(folder / manifest.users)
        users.jump(jump)
        users.close()
    return Restored(manifest, jump, next_version, missing)


def _jump_management(folder: Path, jump: int, who: str, at: datetime) -> tuple[int | None, int]:
    """Return the next version and the new fencing number; None and 0 if nothing was ever published."""
    if not has_management_db(folder):
        return None, 0
    management_db = ManagementDb(folder)
    try:
        head = management_db.history.head()
        fencing = management_db.lease.jump(jump)
        return management_db.history.jump((head.number if head else 0) + jump, who, WHY, at=at), fencing
    finally:
        management_db.close()
