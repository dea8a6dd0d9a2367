"""Connections that were accepted and wait until there is a place for their handshake: each address in turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class AcceptedConnection:
    """A connection of which nothing was read yet; *fd* is its descriptor, *site* what counts as its address."""

    __slots__ = ("fd", "remote", "site", "sock")

    def __init__(self, sock: socket.socket, fd: int, remote: tuple[str, int], site: str) -> None:
        self.sock, self.fd, self.remote, self.site = sock, fd, remote, site


class AcceptQueue:
    """First come, first served within one address; the addresses take turns: a crowd at one does not delay the others."""

    __slots__ = ("_by_site", "size")

    def __init__(self) -> None:
        self._by_site: dict[str, deque[AcceptedConnection]] = {}
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def put(self, connection: AcceptedConnection) -> None:
        """Let a connection wait."""
        waiting = self._by_site.get(connection.site)
        if waiting is None:
            waiting = self._by_site[connection.site] = deque()
        waiting.append(connection)
        self.size += 1

    def next(self, has_place: Callable[[str], bool]) -> AcceptedConnection | None:
        """Take the oldest connection of the next address for which *has_place* is true; None if there is no such address."""
        for site in list(self._by_site):
            waiting = self._by_site.pop(site)
            if not has_place(site):
                self._by_site[site] = waiting  # behind the others
                continue
            connection = waiting.popleft()
            if waiting:
                self._by_site[site] = waiting
            self.size -= 1
            return connection
        return None

    def longest(self) -> str:
        """Give the address with most connections; nothing if none waits."""
        return max(self._by_site, key=lambda site: len(self._by_site[site]), default="")

    def oldest(self, site: str) -> AcceptedConnection | None:
        """Give the connection of *site* that waits longest; None if none waits."""
        waiting = self._by_site.get(site)
        return waiting[0] if waiting else None

    def drop(self, site: str) -> AcceptedConnection | None:
        """Take the oldest connection of *site* out of the queue, to close it."""
        waiting = self._by_site.get(site)
        if not waiting:
            return None
        connection = waiting.popleft()
        if not waiting:
            del self._by_site[site]
        self.size -= 1
        return connection

    def clear(self) -> list[AcceptedConnection]:
        """Take all out."""
        found = [connection for waiting in self._by_site.values() for connection in waiting]
        self._by_site.clear()
        self.size = 0
        return found
