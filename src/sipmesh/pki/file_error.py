"""The place where errors of the operating system about files become ours: with the file, the reason, and a remedy."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_REMEDIES: Final[Mapping[int, str]] = {
    errno.ENOSPC: "make room on the disk of {folder}",
    errno.EDQUOT: "make room in {folder}, or raise the disk quota of the user of sipmesh",
    errno.EFBIG: "raise the limit for the size of a file (ulimit -f, or LimitFSIZE= of the unit)",
    errno.EROFS: "mount the disk of {folder} for writing; the kernel log (dmesg) says whether the disk has failed",
    errno.EIO: "replace the disk of {folder}; the kernel log (dmesg) says what has failed",
    errno.EACCES: "allow the user of sipmesh to read and write {folder}",
    errno.EPERM: "allow the user of sipmesh to read and write {folder}",
    errno.EMFILE: "raise the limit for open files (ulimit -n, or LimitNOFILE= of the unit)",
    errno.ENFILE: "raise the limit for open files of the machine (sysctl fs.file-max)",
    errno.ENOENT: "create the folder {folder}, or restore the file",
    errno.ENOTDIR: "make {folder} a folder",
}
_OTHERWISE: Final = "check {folder} and its disk"


class FileError(OperatorError):
    """A *file* cannot be written or read. The text has the file, the *reason* and the remedy, in one sentence."""

    def __init__(self, file: Path, wrong: OSError, *, doing: str = "written") -> None:
        self.file, self.reason = file, wrong.strerror or str(wrong)
        super().__init__(f"{file} cannot be {doing}: {self.reason}; {remedy_for(wrong.errno, file)}")


def remedy_for(number: int | None, file: Path) -> str:
    """Return what the operator does after the error *number* (an ``errno``) about *file*."""
    return _REMEDIES.get(number or 0, _OTHERWISE).format(folder=file.parent)


@contextmanager
def file_errors(file: Path, *, doing: str = "written") -> Iterator[None]:
    """Raise each OSError of the block as a `FileError` about *file*."""
    try:
        yield
    except OSError as wrong:
        raise FileError(file, wrong, doing=doing) from wrong


def make_folder(folder: Path) -> None:
    """Create *folder* with its parents, only for its owner, unless it exists; raises `FileError`."""
    with file_errors(folder, doing="created"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
