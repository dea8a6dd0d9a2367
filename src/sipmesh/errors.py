"""One tree of errors, sorted by who has to act."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SipmeshError(Exception):
    """Root of the tree; caught only where a link, a task or a command ends."""


class RemoteError(SipmeshError):
    """The peer broke *rule*; *status* is the SIP status to answer with, where an answer is possible."""

    def __init__(self, message: str, *, rule: str, status: int = 400) -> None:
        super().__init__(f"{message} ({rule})")
        self.rule, self.status = rule, status


class LocalError(SipmeshError):
    """Our own caller broke a rule: a bug, never answered on the wire."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in a file that the operator has to mend.

    *line* counts from 1 and is 0 where the whole file is meant; *field* is a dotted path such as ``pools[0].servers``.
    """

    file: Path
    line: int
    field: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        field = f" {self.field}:" if self.field else ""
        return f"{place}:{field} {self.reason}; {self.remedy}"


class OperatorError(SipmeshError):
    """Something the operator must mend before we can go on; *problems* names each place, all at once."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join([message, *map(str, problems)]))
        self.message, self.problems = message, problems
