"""The highest numbers that management can use at a time: a higher one does not count, with any signer.

Versions, fencing numbers, users, files and CRLs have numbers that only rise. An attacker who raises a number to its last value
would leave no number for later documents. So each signer and each server that accepts a document compares the number
with its own clock. The numbers of a network without an attack are far below. A number that an attacker has raised to
the ceiling can always be followed by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sipmesh.errors import LocalError, OperatorError

ALLOWANCE: Final = timedelta(days=365)
"""How far a clock may be behind the others: a ceiling is that of a clock that is ahead by this much."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class NumberCeiling:
    """The ceiling of one kind of number, which is called *name*: it rises by *per_second* with the clock, from 0 in 1970.

    *steps*: numbers that follow a known number this closely count in any case, so that a clock that was set back stops
    no server.
    """

    name: str
    per_second: int
    steps: int

    def at(self, at: datetime, known: int = 0) -> int:
        """Return the highest number that counts at the time *at*; *known* is the highest number that is trusted already."""
        if at.tzinfo is None:
            raise LocalError("the time of a ceiling needs a timezone")
        return max((at + ALLOWANCE - _EPOCH) // _MICROSECOND * self.per_second // 1_000_000, known + self.steps)

    def why_beyond(self, number: int, at: datetime, known: int = 0) -> str:
        """Return why *number* does not count at the time *at*, in words; "" if it does."""
        highest = self.at(at, known)
        if number <= highest:
            return ""
        return f"{self.name} {number} is beyond {highest}, the highest one by the clock here ({at:%Y-%m-%d %H:%M}Z)"

    def must_count(self, number: int, at: datetime, known: int = 0, *, remedy: str) -> int:
        """Return *number*, which is from a database; raises `OperatorError` with the *remedy* if it does not count."""
        if why := self.why_beyond(number, at, known):
            raise OperatorError(f"the database was changed: {why}; find out how, then {remedy}")
        return number


FENCING_NUMBERS: Final = NumberCeiling("fencing number", 1, 10)
VERSIONS: Final = NumberCeiling("version", 1, 1_000)
USERS_NUMBERS: Final = NumberCeiling("users of number", 1_000, 1_000_000)
FILE_NUMBERS: Final = NumberCeiling("file of number", 1_000_000, 1_000_000)
