"""The file of a PKCS #11 module: it runs with our rights, so other users may not choose what it contains.

Who can write a folder above it can put another file there. So each folder and each symbolic link on the way counts.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS_WRITE: Final = 0o022
_MOST_LINKS: Final = 40  # as Linux


def way_to(file: Path) -> Iterator[Path]:
    """Give each folder and symbolic link that decides what an absolute path leads to, and at the end the file itself.

    Raises `OSError` if one of them cannot be read.
    """
    left, at, links = list(reversed(file.parts[1:])), Path("/"), 0
    yield at
    while left:
        part = left.pop()
        if part == "..":
            at = at.parent  # it has no symbolic link in it
            continue
        step = at / part
        yield step
        if not stat.S_ISLNK(step.lstat().st_mode):
            at = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(0, f"has more than {_MOST_LINKS} symbolic links")
        target = step.readlink()
        at = Path("/") if target.is_absolute() else at
        left += reversed(target.parts[target.is_absolute() :])


def changeable_by_others(file: Path) -> Path | None:
    """Return the first part of the way to *file* that another user than root and ours can change; None if there is none.

    In a folder with the sticky bit, such as /tmp, others cannot replace what is not theirs. Raises `OSError` as `way_to` does.
    """
    for step in way_to(file):
        about = step.lstat()
        is_open = about.st_mode & _OTHERS_WRITE and not stat.S_ISLNK(about.st_mode)
        is_sticky = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
        if about.st_uid not in {0, os.geteuid()} or (is_open and not is_sticky):
            return step
    return None
