"""Putting a backup back: all of it or nothing, and with numbers that were never given out before.

A restored CA, history and directory are older than what the network has seen since. So their numbers jump, by more than can have
been given out meanwhile: 1,000, and one for each second since the backup was made. Serials need none, since they are random.
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

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.storage.backup import CA, MANIFEST, Manifest
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users import Users
from sipmesh.storage.vault import Opened

JUMP: Final = 1_000
WHY: Final = "restored from a backup"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it: numbers jumped by *jump*; *next_version* is None where nothing was ever published.

    *keys_missing* are CAs whose keys are not in the backup, so that their lists are still the old ones.
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
    """Restore the backup in *file* to *folder*, which must be empty or not there.

    Everything is made ready beside it and takes its place at the end: a backup that does not open leaves nothing behind.
    *who* is named in the audit log. *last* is called with the folder that was made ready, before it takes its place.

    Raises `OperatorError` for a backup that was changed or cut off, another passphrase, and a folder that holds anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problem = Problem(folder, 0, "", "exists already and is not empty", "name another folder with --dir")
        raise OperatorError("a restore does not overwrite files", (problem,))
    with _beside(folder) as made:
        with _reading(file) as stream:
            manifest = unpack(Opened(stream, passphrase), made)
        restored = _move_on(made, manifest, who, at)
        if last is not None:
            last(made)
        made.chmod(files.FOLDER)
        made.replace(folder)
        files.sync_folder(folder.parent)
    return restored


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder that only we may enter, on the same disk; whatever is left of it is taken away again."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _reading(file: Path) -> Iterator[IO[bytes]]:
    try:
        stream = file.open("rb")
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "name the file of a backup")
        raise OperatorError("there is nothing to restore", (problem,)) from None
    with stream:
        yield stream


def unpack(opened: Opened, folder: Path) -> Manifest:
    """Write what is in a backup below *folder*, which is empty; raises `OperatorError`, and leaves *folder* as it is then.

    Of what the tar may hold, regular files below *folder* are taken and anything else is refused, though whoever made it
    knew the passphrase.
    """
    stream = io.BufferedReader(opened)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                _write(tar, entry, folder)
    except tarfile.TarError as wrong:
        raise OperatorError(f"the backup contains no readable archive: {wrong}") from None
    while stream.read(1 << 20):
        pass  # the end is authenticated when it has been read
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise OperatorError(f"the backup has no {MANIFEST}: sipmesh did not make it")
    found = Manifest.decode(manifest.read_bytes())
    manifest.unlink()
    return found


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    """Write one entry where nothing is yet; others may read at most what they could."""
    name = PurePosixPath(entry.name)
    content = tar.extractfile(entry) if entry.isreg() else None
    if content is None or name.is_absolute() or not name.parts or ".." in name.parts or "\0" in entry.name:
        raise OperatorError(f"not restored: the backup contains {entry.name!r}, which is not a file in the folder")
    file = folder.joinpath(*name.parts)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists():
        raise OperatorError(f"not restored: the backup contains {entry.name!r} twice")
    with file.open("xb") as made:
        file.chmod(files.SECRET)
        shutil.copyfileobj(content, made)
    file.chmod((entry.mode & files.PUBLIC) | files.SECRET)


def _move_on(folder: Path, manifest: Manifest, who: str, at: datetime) -> Restored:
    """Let every number jump, tell of it in the audit log, and make the lists anew."""
    jump = JUMP + max(0, int((at - manifest.at).total_seconds()))
    missing: tuple[CertificateKind, ...] = ()
    for ca in CaGenerations(folder / CA).alive:
        ca.crls.jump(jump)
        missing += tuple(kind for kind in (CertificateKind.ROOT, CertificateKind.ISSUING) if not ca.crls.has_key(kind))
        for kind in (CertificateKind.ROOT, CertificateKind.ISSUING):
            if ca.crls.has_key(kind):
                ca.crls.publish(at, kind)
    if manifest.users:
        users = Users(folder / manifest.users)
        users.jump(jump)
        users.close()
    return Restored(manifest, jump, _next_version(folder, jump, who, at), missing)


def _next_version(folder: Path, jump: int, who: str, at: datetime) -> int | None:
    if not ManagementDb.is_in(folder):
        return None
    management_db = ManagementDb(folder)
    try:
        head = management_db.history.head()
        return management_db.history.jump((head.number if head else 0) + jump, who, WHY, at=at)
    finally:
        management_db.close()
