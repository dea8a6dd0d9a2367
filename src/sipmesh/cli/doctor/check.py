"""One check of `sipmesh doctor`, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The result of a check. `WARNING`: it works today. `SKIPPED`: the check does not apply here."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its stable *name*, what was seen (*told*, one sentence), and the *remedy*, empty if nothing is to be done."""

    name: str
    state: State
    told: str
    remedy: str = ""


def good(name: str, told: str) -> Check:
    """Nothing is to be done."""
    return Check(name, State.GOOD, told)


def warning(name: str, told: str, remedy: str) -> Check:
    """It works today, and may not work tomorrow."""
    return Check(name, State.WARNING, told, remedy)


def bad(name: str, told: str, remedy: str) -> Check:
    """It does not work, or does not start."""
    return Check(name, State.BAD, told, remedy)


def skipped(name: str, told: str) -> Check:
    """The check does not apply here."""
    return Check(name, State.SKIPPED, told)
