"""Problems of one document, collected with their places until all are known."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from sipmesh.errors import Problem
from sipmesh.topology.document.yaml_tree import Loc, YamlEntry, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ProblemReport:
    """Collects problems; *root* knows on which line each value stands."""

    def __init__(self, file: Path, root: YamlEntry) -> None:
        self.file, self.root = file, root
        self.problems: list[Problem] = []

    def __repr__(self) -> str:
        return f"<ProblemReport {self.file} {len(self.problems)} problems>"

    def add(self, loc: Loc, reason: str, remedy: str) -> None:
        """Note that the value at *loc* is wrong; a path that does not exist means the nearest one above it."""
        self.problems.append(self.problem(loc, reason, remedy))

    def problem(self, loc: Loc, reason: str, remedy: str) -> Problem:
        """The same as a value, for what is a warning and no error."""
        entry = self.root.at(loc)
        return Problem(self.file, entry.line, dotted(entry.path), reason, remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """The entry of *known* that looks most like *name*, or nothing."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy: the nearest of *known*, or *otherwise* when none looks alike."""
    close = nearest(name, known)
    return f"did you mean {close!r}?" if close else otherwise
