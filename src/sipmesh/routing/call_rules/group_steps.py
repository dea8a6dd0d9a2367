"""Who of a group rings, and when: its members in the order of the group, and whom it has called last."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.call_rules import CallRules, GroupOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.call_rules.handling import Step

MOST_AT_ONCE: Final = 20
"""Members who ring at the same time: each is a call of its own, and Max-Breadth has room for three devices of each."""

MOST_TRIED: Final = 40
"""Members to whom one call goes; those who have no phone at this pool are not counted."""

MOST_REMEMBERED: Final = 100_000
"""Members whom the groups have called last, in the memory of one server: some 20 MB."""


def steps_of(rules: CallRules, members: Sequence[str]) -> tuple[Step, ...]:
    """Divide *members* into those who ring at the same time, one step after the other."""
    width = MOST_AT_ONCE if rules.order == GroupOrder.ALL else 1
    tried = members[:MOST_TRIED]
    return tuple([tuple(tried[n : n + width]) for n in range(0, len(tried), width)])


class LastCalled:
    """Which members each group has called, the last one last. A server knows of the calls for which it has found the members."""

    __slots__ = ("_counter", "_last")

    def __init__(self) -> None:
        self._counter = count(1)
        self._last: dict[tuple[str, str], int] = {}

    def called(self, group: str, member: str) -> None:
        """Remember that *group* calls *member* now; beyond `MOST_REMEMBERED`, who was called first is forgotten."""
        self._last.pop((group, member), None)
        self._last[group, member] = next(self._counter)
        if len(self._last) > MOST_REMEMBERED:
            del self._last[next(iter(self._last))]

    def in_order(self, group: str, rules: CallRules) -> Sequence[str]:
        """Give the members of *group* in the order in which they ring."""
        if rules.order != GroupOrder.LONGEST_IDLE:
            return rules.members
        return sorted(rules.members, key=lambda member: self._last.get((group, member), 0))
