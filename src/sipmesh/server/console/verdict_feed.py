"""The verdicts of the servers on this machine, in the order in which the console learned of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from sipmesh.server.console.replies import VerdictEntry, VerdictsReply

MOST_KEPT: Final = 500
"""Verdicts in memory: a page that was not connected for some seconds gets what it has missed."""

LOOK_EVERY_S: Final = 1.0

Numbered = tuple[int, "VerdictEntry"]


class VerdictFeed:
    """Numbers verdicts. While a page watches, *read* is called once a second for all pages."""

    def __init__(self, read: Callable[[], Awaitable[VerdictsReply]]) -> None:
        self._read = read
        self._kept: deque[Numbered] = deque(maxlen=MOST_KEPT)
        self._last_reply: frozenset[tuple[object, ...]] = frozenset()
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self.last = 0
        self.changed = asyncio.Condition()

    def note(self, reply: VerdictsReply) -> int:
        """Number the verdicts that are new, the oldest first; returns the highest number."""
        known = self._last_reply | {_key(entry) for _, entry in self._kept}
        for entry in sorted(reply.verdicts, key=lambda entry: entry.at):
            if _key(entry) not in known:
                self.last += 1
                self._kept.append((self.last, entry))
        self._last_reply = frozenset(map(_key, reply.verdicts))
        return self.last

    def since(self, number: int) -> Sequence[Numbered]:
        """Return the verdicts above *number*, the oldest first; at most the last `MOST_KEPT`."""
        return [numbered for numbered in self._kept if numbered[0] > number]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look each second while at least one page watches."""
        self._watchers += 1
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        """Wake the pages each second, also without a new verdict: each of them looks whether its session goes on."""
        while True:
            with suppress(SipmeshError):
                self.note(await self._read())
            async with self.changed:
                self.changed.notify_all()
            await asyncio.sleep(LOOK_EVERY_S)


def _key(entry: VerdictEntry) -> tuple[object, ...]:
    """Return what identifies a verdict: the link if there is one, since its time comes from its age."""
    if entry.link:
        return entry.server, entry.link
    return entry.server, entry.at, entry.code, entry.peer, entry.remote
