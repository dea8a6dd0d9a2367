"""The users who get another home pool by a change of the topology, or lose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.topology.home_pools import front_end_pools, home_by_default

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.topology.document.model import Topology

MOST_EXAMPLES: Final = 5
"""Users that a change names; the others are counted."""


@dataclass(frozen=True, slots=True)
class HomeChange:
    """*count* users with the home pool *before* get the home pool *after*; if that is empty, they cannot log in.

    *users* are some of them.
    """

    before: str
    after: str
    count: int
    users: Sequence[str]

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.users) else ""
        who = f"{self.count} user{'' if self.count == 1 else 's'} ({', '.join(self.users)}{more})"
        if not self.after:
            return f"{who} of {self.before} cannot log in any more"
        return f"{who} get the home pool {self.after} instead of {self.before}"


def home_changes(old: Topology, new: Topology, users: Iterable[tuple[str, str | None]]) -> Sequence[HomeChange]:
    """Compare the homes of *users*, each an address without its scheme and the explicit home pool, None for the default."""
    found: dict[tuple[str, str], list[str]] = {}
    for user, pool in users:
        before, after = _home(old, user, pool), _home(new, user, pool)
        if before != after and before:
            found.setdefault((before, after), []).append(user)
    return [HomeChange(*key, len(names), names[:MOST_EXAMPLES]) for key, names in found.items()]


def _home(topology: Topology, user: str, pool: str | None) -> str:
    """Give the home pool of a user; empty if the user cannot log in: the domain or the pool is not in the topology."""
    if user.rpartition("@")[2] not in topology.sip_domains:
        return ""
    home = pool or home_by_default(topology)
    return home if home in front_end_pools(topology) else ""
