"""A number that only rises, in a file beside the key of a server: what has a lower one does not count again.

An attacker who can write only to ``state``, or to a database, cannot lower it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files

if TYPE_CHECKING:
    from pathlib import Path


class HighestNumber:
    """The number of the server *name*, in the folder of the servers' keys below *folder*; its file ends with *suffix*."""

    def __init__(self, folder: Path, name: str, suffix: str) -> None:
        self.file = folder / "servers" / f"{name}{suffix}"
        self._value: int | None = None
        self._stored = 0

    @property
    def value(self) -> int:
        """The number, 0 if there is no file; raises `OperatorError` for an unreadable file."""
        if self._value is None:
            self._value = self._stored = self._read()
        return self._value

    def raise_to(self, number: int) -> None:
        """Use a higher number from now on, and store it; a lower one changes nothing. Raises `FileError` if the disk is full.

        Then the number is in memory, and is stored with a later call.
        """
        self._value = number = max(self.value, number)
        if number > self._stored:
            files.write(self.file, b"%d\n" % number, files.SECRET)
            self._stored = number

    def forget(self) -> None:
        """Begin again at 0: an operator has brought what counts from now on."""
        self.file.unlink(missing_ok=True)
        self._value = self._stored = 0

    def _read(self) -> int:
        try:
            return int(self.file.read_bytes())
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as wrong:
            problem = Problem(self.file, 0, "", f"cannot be read ({wrong})", "join this server again: sipmesh join")
            raise OperatorError("the highest number that this server has seen is not known", (problem,)) from None
