"""Servers of which any can serve a request: in which order they are tried."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """Servers that serve the same. A later group is tried only if no server of an earlier group can be reached."""

    groups: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def near(cls, here: str, servers: Iterable[str], sites: Mapping[str, str]) -> ServerChoice:
        """Put those *servers* first whose site is *here*; all are equal if that is "". *sites* has the site of each server."""
        names = tuple(servers)
        near = tuple(name for name in names if not here or sites.get(name) == here)
        far = tuple(name for name in names if name not in near)
        return cls(tuple(group for group in (near, far) if group))

    def __bool__(self) -> bool:
        return bool(self.groups)

    def __contains__(self, name: object) -> bool:  # compiled code does not search by __iter__
        return any(name in group for group in self.groups)

    def __iter__(self) -> Iterator[str]:
        return (name for group in self.groups for name in group)

    def turned(self, key: str) -> tuple[str, ...]:
        """Give the order for *key*: the load is spread in each group, and the same key leads to the same server."""
        if len(self.groups) == 1:
            return self.groups[0] if len(self.groups[0]) == 1 else turned(self.groups[0], key)
        return tuple(name for group in self.groups for name in turned(group, key))

    def then(self, others: ServerChoice) -> ServerChoice:
        """Give the choice in which *others* are tried after all servers of this one."""
        return ServerChoice(self.groups + others.groups)


NO_SERVERS = ServerChoice()


def turned(names: tuple[str, ...], key: str) -> tuple[str, ...]:
    """Rotate the order of equal servers by *key*: requests are spread, and those of one call stay on one server."""
    start = zlib.crc32(key.encode(errors="surrogateescape")) % len(names) if names else 0
    return names[start:] + names[:start]
