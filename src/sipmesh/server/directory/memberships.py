"""Which entries are members of a group, also through groups in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sipmesh.errors import OperatorError


def members_of(group: str, members: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return all members of *group*, and those of the groups in it; *members* has the direct members of each group.

    Each group is looked at once, so groups may contain each other. Raises `OperatorError` for a group that is not in *members*: a
    group that is gone must not change the users who were in it.
    """
    if group not in members:
        raise OperatorError(f"the directory has no group {group}; correct the topology, or let `bind` read the group")
    found: set[str] = set()
    waiting = [group]
    while waiting:
        new = set(members.get(waiting.pop(), ())) - found
        found |= new
        waiting += [name for name in new if name in members]
    return frozenset(found)
