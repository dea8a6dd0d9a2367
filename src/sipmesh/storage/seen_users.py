"""The highest number of the users that this host has seen in their database, and whose change it was.

A database that was restored from an older dump, or a standby that lacks the last commits, would use these numbers again with
other content, which servers would take for what they have. So nothing of such a database is given to servers, and nothing is
changed in it, until it has the newer state again, or an operator decides to go on from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.pki import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE: Final = "state/users.seen"
"""In the folder of the organisation, on each management host."""

GO_ON: Final = "bring back its newer state, or go on from this one: sipmesh topology publish -m WHY --overtake"
"""What to do about an older state of a database of management."""


class SeenUsers:
    """The number and the user of the last change, in the file `FILE` in *folder*.

    *aor_of* tells in each call whose a change of the database is; None for a change of no user.
    """

    __slots__ = ("_aor", "_file", "_number")

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._number, self._aor = 0, ""

    def why_older(self, number: int, aor_of: Callable[[int], str | None]) -> str:
        """Return why a database whose users have the *number* is older than what this host has seen; "" if it is not."""
        self._read()
        if number < self._number:
            return (
                f"the database of users is older than it was: its number is {number}, and {self._number} was seen here"
            )
        changed = aor_of(self._number)
        if changed is not None and changed != self._aor:
            return f"the database of users has another history: its change {self._number} is of another user than was seen here"
        return ""

    def saw(self, number: int, aor_of: Callable[[int], str | None]) -> None:
        """Remember the *number* of the users, unless a higher one was seen."""
        self._read()
        if number > self._number:
            self._write(number, aor_of(number) or "")

    def accept(self, number: int) -> None:
        """Go on from the *number* that an operator has raised, and forget what was seen before."""
        self._write(number, "")

    def _read(self) -> None:
        """Read what another process of this host has seen; an unreadable file says nothing."""
        try:
            number, _, aor = self._file.read_text("utf-8").removesuffix("\n").partition(" ")
            self._number, self._aor = int(number), aor
        except (OSError, ValueError):
            return

    def _write(self, number: int, aor: str) -> None:
        """Store it; on a full disk this process remembers it alone."""
        self._number, self._aor = number, aor
        try:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            files.write(self._file, f"{number} {aor}\n".encode(), files.SECRET)
        except (OSError, OperatorError):
            return
