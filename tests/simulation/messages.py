"""The stored messages of a run: the product's queue and statements, without a thread, on virtual time."""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simulation.processes import CURRENT, outside
from sipmesh.errors import OperatorError
from sipmesh.storage.message_queue import MessageQueue, Piece

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.loop import VirtualLoop
    from sipmesh.storage.message_queue import StoreFaults
    from sipmesh.storage.messages import Work

GATHER_S: Final = 0.005


class VirtualMessages(MessageQueue):
    """Does its work later, in the context of the database: its clock is that of the database, and not that of the server."""

    def __init__(
        self, url: str, loop: VirtualLoop, must_answer: Callable[[], None], late_s: Callable[[], float]
    ) -> None:
        ours = copy_context()
        super().__init__(url, lambda call: loop.call_soon(call, context=ours))
        self._loop, self._is_open = loop, False
        self._must_answer, self._late_s = must_answer, late_s

    def begin(self, faults: StoreFaults) -> None:
        """Take work from now on."""
        self._faults, self._is_open = faults, True

    def submit(
        self,
        work: Work[Any],
        done: Callable[[Any], None] = lambda _: None,
        *,
        only_reads: bool = False,
        is_later: bool = False,
    ) -> Piece:
        """See `MessageQueue`."""
        piece = Piece(work, done, only_reads=only_reads, is_later=is_later)
        if self.waiting >= self._most_waiting or not self._is_open:
            done(None)
            return piece
        self.waiting += 1
        self._queue.put((is_later, next(self._numbers), piece))
        if self._queue.qsize() == 1:
            process = CURRENT.get()
            slow_s = process.machine.slow_s if process is not None else 0.0
            self._loop.call_later(GATHER_S + slow_s + self._late_s(), self._work)
        return piece

    def _work(self) -> None:
        """Do what has come meanwhile in one transaction, or in several."""
        while not self._queue.empty():
            batch = self._next()
            try:
                self._must_answer()
            except OperatorError as wrong:
                self._failed(wrong)
                self._post(partial(self._tell, batch, [None] * len(batch)))
            else:
                outside().run(self._carry_out, batch)

    def close(self) -> None:
        """Do what was submitted, and close the database."""
        if self._is_open:
            self._work()
            self._is_open = False
