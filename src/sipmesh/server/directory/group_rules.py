"""What the groups of the directory give their members, as the topology says: a home pool, and classes of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.directory import GroupPool
    from sipmesh.topology.document.parts.scim import ScimGroupPool


@dataclass(frozen=True, slots=True)
class GivenByGroups:
    """The home *pool* that groups decide, None if none does, and the *classes* of numbers that they give."""

    pool: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupRules:
    """The groups that decide the home pool, of which the first counts, and those that give a class, by their names."""

    pools: Sequence[tuple[str, str]]
    classes: Sequence[tuple[str, tuple[str, ...]]]

    @property
    def groups(self) -> frozenset[str]:
        """All groups that the topology names."""
        return frozenset((*(group for group, _ in self.pools), *(one for _, groups in self.classes for one in groups)))

    def given(self, is_member: Callable[[str], bool]) -> GivenByGroups:
        """Return what the groups give an entry; *is_member* tells of which group it is a member."""
        pool = next((pool for group, pool in self.pools if is_member(group)), None)
        return GivenByGroups(pool, tuple(name for name, groups in self.classes if any(map(is_member, groups))))


def group_rules(topology: Topology) -> GroupRules:
    """Return the rules of a topology, which has a directory or SCIM clients: without them no group gives anything."""
    source: Sequence[GroupPool | ScimGroupPool] = ()
    if topology.directory is not None:
        source = topology.directory.pools
    elif topology.scim is not None:
        source = topology.scim.pools
    classes = [(one.name, one.groups) for one in topology.numbers.classes if one.groups]
    return GroupRules([(rule.group, rule.pool) for rule in source], classes)
