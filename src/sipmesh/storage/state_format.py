"""The format of all files that a server keeps between its starts, as one number: an older release does not touch newer files.

The databases have revisions of their own (`sipmesh.database.schema`). This number is for everything else below the folder of an
organisation: versions, users, pins, registrations, keys.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.pki import files

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
"""Raise it with each change of a file that the release before would misread, or would write back without what is new."""

NAME: Final = "format"
REMEDY: Final = "install the release that wrote them, or a newer one; or restore the backup from before the update"
LONGEST: Final = 20


def take(state: Path) -> None:
    """Check the format of the files beside *state*, and note ours; raises `OperatorError` for that of a newer release.

    Servers of the older release that run already go on until they are restarted. Files without the note are older.
    """
    file, found = state / NAME, found_in(state)
    if found > FORMAT:
        raise OperatorError(
            f"the files of servers in {state} have format {found}, and this release of sipmesh knows formats up to {FORMAT}; "
            f"{REMEDY}"
        )
    if found < FORMAT:
        with suppress(OSError, OperatorError):  # a full disk must not keep a server from its start
            state.mkdir(mode=files.FOLDER, exist_ok=True)
            files.write(file, f"{FORMAT}\n".encode(), files.SECRET)


def found_in(state: Path) -> int:
    """Return the format of the files beside *state*, 0 without a note; raises `OperatorError` if the note has no number."""
    file = state / NAME
    try:
        text = file.read_bytes()[:LONGEST].strip()
    except FileNotFoundError:
        return 0
    if not text.isdigit():
        raise OperatorError(f"{file} has no number; remove it, if only this release has written to {file.parent}")
    return int(text)
