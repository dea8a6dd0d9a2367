"""How many file descriptors clients may use."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from sipmesh.transport.descriptors import most_for_clients


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
