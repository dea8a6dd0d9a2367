"""The messages of the control plane that a worker has handed to its supervisor, and that still wait in the channel."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.siblings.channel import HEADER, MOST_PENDING

if TYPE_CHECKING:
    from sipmesh.server.proxy.siblings.channel import WorkerChannel

MOST_WAITING: Final = 1_000
"""Messages of one server: the supervisor takes some tenths of a second for them, and the replies to its questions come after."""


class HandedMessages:
    """What waits for the supervisor, by server: a server that sends without end takes no place of the others."""

    __slots__ = ("_octets", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[int, int]]] = {}  # where each message ends in the channel, and its octets
        self._octets: dict[str, int] = {}

    def admits(self, channel: WorkerChannel, server: str, size: int) -> bool:
        """Count a message of *server* with *size* octets that is sent next; False if too much of that server waits."""
        waiting = self._waiting.setdefault(server, deque())
        octets, written = self._octets.get(server, 0), channel.written
        while waiting and waiting[0][0] <= written:
            octets -= waiting.popleft()[1]
        is_admitted = len(waiting) < MOST_WAITING and octets + size <= MOST_PENDING and channel.has_reserve(size)
        if is_admitted:
            octets += size
            waiting.append((channel.queued + HEADER.size + size, size))
        self._octets[server] = octets
        return is_admitted
