"""Documents that a managed server could not store: they are stored again later, with pauses that grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.pki.file_error import FileError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sipmesh.distribution.items import Item, Key

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""Seconds between two attempts. So a server has stored everything half a minute after its disk has room again."""

MOST_OCTETS: Final = 64 << 20
"""Of all waiting documents; a document beyond this limit is sent again by management, with its next change."""


class Pace:
    """When the next attempt is due; times are in seconds of the loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._pause, self._next_at = loop, FIRST_PAUSE_S, 0.0

    @property
    def is_due(self) -> bool:
        """Whether the pause after the last failure is over."""
        return self._loop.time() >= self._next_at

    def failed(self) -> None:
        """An attempt has failed: the next pause is twice as long."""
        self._next_at = self._loop.time() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    def succeeded(self) -> None:
        """An attempt has succeeded."""
        self._pause, self._next_at = FIRST_PAUSE_S, 0.0


class StorageRetry:
    """Keeps the newest document of each key, and gives it to *receive* again.

    *receive* calls `stored` or `failed`, at once or later. It raises `SipmeshError` if it fails at once.
    """

    def __init__(self, receive: Callable[[str, Item], None], loop: asyncio.AbstractEventLoop) -> None:
        self._receive, self._pace = receive, Pace(loop)
        self._waiting: dict[Key, tuple[str, Item]] = {}

    def has(self, item: Item) -> bool:
        """Return whether this very *item* waits."""
        waiting = self._waiting.get(item.key)
        return waiting is not None and waiting[1].digest == item.digest

    def failed(self, peer: str, item: Item) -> None:
        """Keep an *item* of *peer* that could not be stored."""
        others = sum(len(waiting.body) for key, (_, waiting) in self._waiting.items() if key != item.key)
        if others + len(item.body) <= MOST_OCTETS:
            self._waiting[item.key] = peer, item
        self._pace.failed()

    def stored(self, item: Item) -> None:
        """A document with the key of *item* is stored: an earlier one must not replace it."""
        if self._waiting.pop(item.key, None) is not None and not self._waiting:
            self._pace.succeeded()

    def tick(self) -> None:
        """Try again if the pause is over; the first document that still cannot be stored ends the attempt."""
        if not self._waiting or not self._pace.is_due:
            return
        for peer, item in list(self._waiting.values()):
            try:
                self._receive(peer, item)
            except SipmeshError as wrong:
                if isinstance(wrong.__cause__, FileError):
                    return  # `receive` has called `failed`
                self.stored(item)  # it was refused: nothing is left to store
