"""Memory goes back to the kernel after many links were closed, and only then."""

from __future__ import annotations

import pytest

from sipmesh.server.process.memory_return import LEAST, QUIET_TICKS, MemoryReturn, trim_heap


def returned(*links: int) -> int:
    """How often memory was given back, where there were so many links one after another."""
    called: list[None] = []
    watched = MemoryReturn(lambda: called.append(None))
    for number in links:
        watched.tick(number)
    assert watched.returned == len(called)
    return len(called)


@pytest.mark.parametrize(
    ("most", "left", "times"),
    [(LEAST, 0, 1), (LEAST - 1, 0, 0), (10 * LEAST, 5 * LEAST, 1), (10 * LEAST, 5 * LEAST + 1, 0)],
)
def test_memory_is_given_back_when_half_of_the_links_and_a_thousand_are_gone(most: int, left: int, times: int) -> None:
    assert returned(most, *[left] * 20) == times


@pytest.mark.parametrize(("ticks", "times"), [(QUIET_TICKS, 0), (QUIET_TICKS + 1, 1)])
def test_memory_is_given_back_after_the_last_link_was_closed(ticks: int, times: int) -> None:
    closing = range(5 * LEAST, 0, -100)
    assert returned(*closing, *[0] * ticks) == times


def test_memory_is_given_back_once_for_each_time() -> None:
    assert returned(*[2 * LEAST, *[0] * 20] * 3) == 3


def test_heap_can_be_trimmed() -> None:
    trim_heap()
