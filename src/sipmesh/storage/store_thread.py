"""What the threads of the stores have in common: they work in batches, and give results on the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")

Post = Callable[[Callable[[], None]], object]
"""Has the event loop call something soon; called from the threads of the stores."""


def batches(queue: SimpleQueue[T | None]) -> Iterator[list[T]]:
    """Wait for work, and yield all that has come meanwhile; None in *queue* is the end."""
    while (first := queue.get()) is not None:
        batch = [first]
        with suppress(Empty):
            while True:
                following = queue.get_nowait()
                if following is None:
                    queue.put(None)  # the end comes after these
                    break
                batch.append(following)
        yield batch


def while_loop_runs(post: Post) -> Post:
    """Give a *post* that does nothing after the end of the loop: no caller waits for a result then."""

    def call(wanted: Callable[[], None]) -> None:
        with suppress(RuntimeError):
            post(wanted)

    return call
