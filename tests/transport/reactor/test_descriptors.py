"""How many file descriptors clients may use."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from sipmesh.transport.reactor.descriptors import lowest_free, most_for_clients


@pytest.fixture(name="hard")
def _hard() -> Iterator[int]:
    """The hard limit of this process; the soft limit is restored after the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("soft", "kept", "most"), [(1024, 256, 768), (1024, 100, 924), (400, 256, 300)])
def test_descriptors_are_kept_free_but_never_more_than_a_quarter(hard: int, soft: int, kept: int, most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert most_for_clients(kept) == most


def test_lowest_free_descriptor_is_the_next_to_be_opened(hard: int) -> None:
    free = lowest_free()
    opened = os.dup(0)
    assert opened == free
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 1, hard))
    assert lowest_free() > 1 << 30
    os.close(opened)
    assert lowest_free() == opened
