"""Collects the problems of one document with their places."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from sipmesh.errors import Problem
from sipmesh.topology.document.yaml_tree import Loc, YamlEntry, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ProblemReport:
    """Collects problems. *root* has the line of each value."""

    def __init__(self, file: Path, root: YamlEntry) -> None:
        self.file, self.root = file, root
        self.problems: list[Problem] = []
        self._places: set[Loc] = set()

    def add(self, loc: Loc, reason: str, remedy: str) -> None:
        """Add a problem of the value at *loc*. If there is none, the place is the nearest value above it."""
        self.problems.append(self.problem(loc, reason, remedy))
        self._places.add(loc)

    def has_problem(self, loc: Loc) -> bool:
        """Tell whether a problem of the value at exactly *loc* was added."""
        return loc in self._places

    def problem(self, loc: Loc, reason: str, remedy: str) -> Problem:
        """Give a problem as a value without adding it, for example for a warning."""
        entry = self.root.at(loc)
        return Problem(self.file, entry.line, dotted(entry.path), reason, remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """Give the entry of *known* that is most similar to *name*, or ""."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Give a remedy: the most similar entry of *known*, or *otherwise* if none is similar."""
    close = nearest(name, known)
    return f"did you mean {close!r}?" if close else otherwise
