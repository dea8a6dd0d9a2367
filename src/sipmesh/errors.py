"""The base classes of all errors. Each class says who has to act: the peer, our own code, or the operator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SipmeshError(Exception):
    """Base class of all errors of this package. Only the end of a link, a task or a command catches it."""


class RemoteError(SipmeshError):
    """The peer broke *rule* (an RFC section). *status* is the SIP status of the answer, if an answer is possible."""

    def __init__(self, message: str, *, rule: str, status: int = 400) -> None:
        super().__init__(f"{message} ({rule})")
        self.rule, self.status = rule, status


class LocalError(SipmeshError):
    """Our own code broke a rule. This is a bug, and no answer goes to a peer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file that the operator has to correct.

    *line* counts from 1; 0 means the whole file. *field* is a dotted path such as ``pools[0].servers``, or ``""``.
    *remedy* is an imperative: what the operator does now.
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
    """The operator must correct something first. *problems* lists each place that has to be corrected.

    *parameter* names the wrong parameter of the operation, "" if the error is about no single one.
    """

    def __init__(self, message: str, problems: tuple[Problem, ...] = (), parameter: str = "") -> None:
        super().__init__("\n".join([message, *map(str, problems)]))
        self.message, self.problems, self.parameter = message, problems, parameter


class UnusableDatabaseError(OperatorError):
    """A database cannot be used now. The message has its place, which is for operators, and for no user."""


class NotLeadingError(OperatorError):
    """This management server does not lead: nothing was written. *leader* is the server that does, "" if it is not known."""

    def __init__(self, message: str, leader: str = "") -> None:
        super().__init__(message)
        self.leader = leader
