"""The thread that works on the stored messages, so that the event loop never waits for their database.

Work that comes during one transaction goes into the next one; stored messages come before message histories. The database is
opened with the first work: a server starts without it. A file that does not exist yet is made with the first message that is
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, PriorityQueue
from threading import Event, Thread
from typing import Any, Final, Protocol, TypeVar

from sipmesh.database.connection import is_missing_file
from sipmesh.database.lazy_module import sql
from sipmesh.errors import OperatorError
from sipmesh.storage.messages import MessageStore, WithoutMessages, Work
from sipmesh.storage.store_thread import Post, while_loop_runs

MOST_WAITING: Final = 5_000
"""Pieces of work that wait for the database; more are refused at once."""

MOST_IN_BATCH: Final = 200
"""Pieces of work in one transaction."""

GAP_S: Final = 0.12
"""How long a process that has only histories to write leaves the database to others: SQLite asks for a locked file each 0.1 s.
Other work ends the gap."""

CLOSING_S: Final = 2.0
"""How long the end of a server waits for what is still to be written. No sender has a response that says it is stored."""

T = TypeVar("T")


class StoreFaults(Protocol):
    """What is called with each change of the database's state, on the loop."""

    def store_failing(self, problem: OperatorError) -> None:
        """The database cannot be used."""

    def store_working(self) -> None:
        """The database can be used again."""


def _ignore(_: object) -> None:
    """Take a result that no caller needs."""


class Piece:
    """One piece of work, and the callback for its result. A caller that sets *withdrawn* does not want it done any more.

    *only_reads*: the work writes nothing. *is_later*: all work that is not comes before it.
    """

    __slots__ = ("done", "is_later", "only_reads", "withdrawn", "work")

    def __init__(self, work: Work[Any], done: Callable[[Any], None], *, only_reads: bool, is_later: bool) -> None:
        self.work, self.done, self.only_reads, self.is_later, self.withdrawn = work, done, only_reads, is_later, False

    def run(self, db: sql.Connection) -> object:
        """Do the work inside a transaction; None if it was withdrawn."""
        return None if self.withdrawn else self.work(db)


_Ranked = tuple[int, int, Piece | None]
"""A piece behind its rank and number: the queue gives the smallest first."""

_END: Final[_Ranked] = (2, 0, None)
"""Comes after all work."""


class MessageQueue:
    """Works on the database at *url*; *post* reaches the loop, on which each result is given."""

    def __init__(self, url: str | Path, post: Post, most_waiting: int = MOST_WAITING) -> None:
        self._url, self._post, self._most_waiting = url, while_loop_runs(post), most_waiting
        self._queue, self._numbers, self._has_urgent = PriorityQueue[_Ranked](), count(), Event()
        self._store: MessageStore | None = None
        self._thread: Thread | None = None
        self._faults: StoreFaults | None = None
        self._is_failing = self._is_closed = False
        self.waiting = 0

    def begin(self, faults: StoreFaults) -> None:
        """Start the thread; *faults* gets the state of the database from now on."""
        self._faults = faults
        self._thread = Thread(target=self._run, name="stored-messages", daemon=True)
        self._thread.start()

    def submit(
        self,
        work: Work[T],
        done: Callable[[T | None], None] = _ignore,
        *,
        only_reads: bool = False,
        is_later: bool = False,
    ) -> Piece:
        """Have *work* done, and *done* called on the loop with its result; with None if it was not done."""
        piece = Piece(work, done, only_reads=only_reads, is_later=is_later)
        if self.waiting >= self._most_waiting or self._thread is None:
            done(None)
        else:
            self.waiting += 1
            self._queue.put((is_later, next(self._numbers), piece))
            if not is_later:
                self._has_urgent.set()
        return piece

    def close(self) -> None:
        """Do what was submitted, if that takes no longer than a moment, and close the database."""
        if self._thread is not None:
            self._is_closed = True
            self._queue.put(_END)
            self._has_urgent.set()
            self._thread.join(CLOSING_S)
            self._thread = None

    def _run(self) -> None:
        while batch := self._next():
            self._carry_out(batch)
            if batch[-1].is_later and not (self._is_closed or self._queue.empty()):
                self._has_urgent.wait(GAP_S)
        if self._store is not None:
            self._store.close()

    def _next(self) -> list[Piece]:
        """Wait for work, and take what has come, as much as fits into one transaction; nothing at the end."""
        taken = [self._queue.get()]
        self._has_urgent.clear()
        with suppress(Empty):
            while len(taken) < MOST_IN_BATCH:
                taken.append(self._queue.get_nowait())
        if taken[-1] is _END:
            self._queue.put(_END)
        return [piece for _, _, piece in taken if piece is not None]

    def _carry_out(self, batch: Sequence[Piece]) -> None:
        """Do a batch; what is done with a result that fails is the loop's fault, and ends nothing here."""
        empty = _empty(batch) if self._store is None and is_missing_file(self._url) else None
        if empty is not None:
            self._post(lambda: self._tell(batch, empty))
            return
        try:
            if self._store is None:
                self._store = MessageStore(self._url)
            results: Sequence[Any] = self._store.carry_out(
                [piece.run for piece in batch], only_reads=all(piece.only_reads for piece in batch)
            )
        except OperatorError as wrong:
            results = [None] * len(batch)
            self._failed(wrong)
        else:
            self._worked()
        self._post(lambda: self._tell(batch, results))

    def _failed(self, wrong: OperatorError) -> None:
        faults = self._faults
        if not self._is_failing and faults is not None:
            self._post(lambda: faults.store_failing(wrong))
        self._is_failing = True

    def _worked(self) -> None:
        if self._is_failing and self._faults is not None:
            self._post(self._faults.store_working)
        self._is_failing = False

    def _tell(self, batch: Sequence[Piece], results: Sequence[Any]) -> None:
        self.waiting -= len(batch)
        for piece, result in zip(batch, results, strict=True):
            piece.done(result)


def _empty(batch: Sequence[Piece]) -> Sequence[Any] | None:
    """Return the results of a batch where no message is stored; None if a piece of it needs the database."""
    works = [piece.work for piece in batch]
    if not all(isinstance(work, WithoutMessages) for work in works):
        return None
    return [None if piece.withdrawn else piece.work.empty for piece in batch if isinstance(piece.work, WithoutMessages)]
