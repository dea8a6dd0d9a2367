"""The highest fencing number that one server has seen: what an overtaken management server signs has a lower one.

The number is beside the server's key, like the record of the last publication. So an attacker who can write only to ``state``
cannot lower it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sipmesh.database.number_ceilings import FENCING_NUMBERS
from sipmesh.errors import RemoteError
from sipmesh.pki.file_error import FileError
from sipmesh.server.replication.highest_number import HighestNumber

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sipmesh.topology.versions.jose import Signed

SUFFIX = ".fencing"


class HighestFencing:
    """The number of the server *name*, in the folder of the servers' keys below *folder*."""

    def __init__(self, folder: Path, name: str) -> None:
        self._highest = HighestNumber(folder, name, SUFFIX)

    @property
    def file(self) -> Path:
        """Where the number is."""
        return self._highest.file

    @property
    def number(self) -> int:
        """The number, 0 if no document had one; raises `OperatorError` for an unreadable file."""
        return self._highest.value

    def accept(self, signed: Signed, at: datetime) -> None:
        """Note the number of a document whose signer is trusted at the time *at*.

        A full disk does not keep a document out of force: the number is in memory first, and is stored with a later document.
        Raises `RemoteError` if another leader has a higher number, or if no leader can have this one yet.
        """
        number = self.number
        if why := FENCING_NUMBERS.why_beyond(signed.fencing, at, number):
            raise RemoteError(f"rejected: {why}", rule="rule R5", status=488)
        if signed.fencing < number:
            why = f"its signer led with fencing number {signed.fencing}, and management leads with {number} now"
            raise RemoteError(f"rejected: {why}", rule="rule R5", status=488)
        with suppress(FileError):
            self._highest.raise_to(signed.fencing)

    def forget_beyond(self, at: datetime) -> None:
        """Forget a number that no leader can have at the time *at*: an operator joins this server again."""
        if FENCING_NUMBERS.why_beyond(self.number, at):
            self._highest.forget()
