"""One fuzz target: a function that takes any octets, and raises an error if its property does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.counting import work_counted

CRASHERS: Final = Path(__file__).parent / "crashers"
"""Inputs that have broken a property once, in one folder for each target. ``make test`` replays them."""

LONG: Final = 256
"""Octets from which on the work is counted: below, no growth can be seen."""


class PropertyError(AssertionError):
    """A property does not hold for an input."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader of octets, with its *property* in one sentence.

    *check* gives one input to the reader, and raises any error if the property does not hold. *seeds* are valid and
    nearly valid inputs, from which others are made. *work* is how many steps (calls, and octets that a method of a text
    walks over) an input may cost for each of its octets.
    """

    name: str
    holds: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    work: int = 100

    def run(self, data: bytes) -> None:
        """Check one input, and how much work it takes if it is long: a reader has to be linear."""
        if len(data) < LONG:
            self.check(data)
            return
        work: Counter[str] = Counter()
        with work_counted(work, lines=False):
            self.check(data)
        if work.total() > self.work * len(data):
            raise PropertyError(f"{work.total()} steps for {len(data)} octets, above {self.work} for each")

    @property
    def crashers(self) -> Path:
        """The folder of the inputs that have broken the property once."""
        return CRASHERS / self.name

    def kept(self) -> list[Path]:
        """Give the files of these inputs, in the order of their names."""
        return sorted(self.crashers.iterdir()) if self.crashers.is_dir() else []


def require(condition: object, what: str) -> None:
    """Raise `PropertyError` with the text *what* if *condition* does not hold."""
    if not condition:
        raise PropertyError(what)
