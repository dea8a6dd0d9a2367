"""A rule for one key of the document: which of its changes gives whom more, or why none does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants.grant import Gain, Grant
from sipmesh.topology.versions.grants.key_changes import KeyChange

Finds = Callable[[KeyChange], Iterable[str]]
"""Finds in a change what gives more: the words for ``{value}`` in the sentence, once for each grant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A change in which *finds* finds something gives *whom* more. *when* says for the page which changes these are.

    *sentence* has ``{place}``, the part of the document, and ``{value}``. *is_whole*: the rule is for all keys below, too.
    """

    gain: Gain
    when: str
    whom: str
    sentence: str
    finds: Finds
    role: ConsoleRole = ConsoleRole.SECURITY_OFFICER
    is_whole: bool = False

    def grants(self, change: KeyChange) -> Iterator[Grant]:
        """Yield each grant in a change of its key."""
        for value in self.finds(change):
            sentence = self.sentence.format(place=change.place, value=value)
            yield Grant(change.key, self.gain, self.whom.format(value=value, place=change.place), sentence, self.role)


@dataclass(frozen=True, slots=True)
class NoGrant:
    """No change of the key gives a person or a server more. *why* says so for the page."""

    why: str
    is_whole: bool = False

    def grants(self, _change: KeyChange) -> Iterator[Grant]:
        """Yield nothing."""
        return iter(())


Rules = Mapping[str, tuple[Rule | NoGrant, ...]]
"""The rules of each key."""


def _only(
    gain: Gain,
    when: str,
    whom: str,
    sentence: str,
    finds: Finds,
    role: ConsoleRole = ConsoleRole.SECURITY_OFFICER,
    *,
    is_whole: bool = False,
) -> tuple[Rule]:
    """Return the only rule of a key."""
    return (Rule(gain, when, whom, sentence, finds, role, is_whole),)


reads: Final = partial(_only, Gain.READ)
decides: Final = partial(_only, Gain.DECIDE)
signs: Final = partial(_only, Gain.SIGN)
