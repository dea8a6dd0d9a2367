"""Batches of work for the threads of the stores, and results on the event loop."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue

import pytest

from sipmesh.storage.store_thread import batches, while_loop_runs


@pytest.mark.parametrize(
    ("queued", "found"),
    [
        ([1, 2, 3, None], [[1, 2, 3]]),
        ([1, None, 2], [[1], [2]]),  # what came late is done too
        ([None], []),
    ],
)
def test_what_has_come_is_one_batch_and_none_is_the_end(queued: list[int | None], found: list[list[int]]) -> None:
    queue: SimpleQueue[int | None] = SimpleQueue()
    for one in queued:
        queue.put(one)
    assert list(batches(queue)) == found


def test_result_for_a_loop_that_has_ended_is_dropped_and_another_one_arrives() -> None:
    arrived = list[str]()

    def ended(_call: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    while_loop_runs(ended)(lambda: arrived.append("too late"))
    while_loop_runs(lambda call: call())(lambda: arrived.append("here"))
    assert arrived == ["here"]
