"""Work of one order that waits for others, such as name servers: it runs beside all else, and ends with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Inquiry(Generic[T]):
    """One task at a time. *answers* is its result, and None if nothing was asked, or as long as the result is missing."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self.answers: T | None = None

    @property
    def is_asking(self) -> bool:
        """Whether the result is missing."""
        return self._task is not None and not self._task.done()

    def begin(self, asked: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Have *asked* done, in place of what was asked before."""
        self.stop()
        self._task = self._loop.create_task(self._ask(asked))

    def stop(self) -> None:
        """Forget the result, and ask nothing more."""
        if self._task is not None:
            self._task.cancel()
        self._task, self.answers = None, None

    async def _ask(self, asked: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.answers = await asked()
