"""Large documents on a managed server: they are applied one after the other, in the order in which they arrived."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sipmesh.distribution.items import Item


class DocumentQueue:
    """Gives each document to *apply*, and its error to *failed*; the sender was answered before, so the status says it."""

    def __init__(
        self,
        apply: Callable[[Item], Coroutine[None, None, None]],
        applied: Callable[[Item], None],
        failed: Callable[[str, Item, SipmeshError], None],
    ) -> None:
        self._apply, self._applied, self._failed = apply, applied, failed
        self._waiting: deque[tuple[str, Item]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a document is being applied: a later one must not overtake it."""
        return self._task is not None and not self._task.done()

    def waiting_of(self, peer: str) -> int:
        """Return how many documents of *peer* wait."""
        return sum(sender == peer for sender, _ in self._waiting)

    def put(self, peer: str, item: Item) -> None:
        """Apply *item* of *peer* after those that came before; a waiting document of the same key and digest is enough."""
        if any(waiting.key == item.key and waiting.digest == item.digest for _, waiting in self._waiting):
            return
        self._waiting.append((peer, item))
        if not self.is_busy:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def close(self) -> None:
        """Stop applying documents."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    async def finished(self) -> None:
        """Wait until every document is applied or refused."""
        while self._task is not None and self.is_busy:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._waiting:
            peer, item = self._waiting.popleft()
            try:
                await self._apply(item)
            except SipmeshError as wrong:
                self._failed(peer, item, wrong)
            else:
                self._applied(item)
