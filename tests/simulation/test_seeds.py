"""Fixed seeds in which every invariant holds, and that a seed stands for one run only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.organisations import Folders
from simulation.simulation import PROFILES, Result, simulate


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, one in PROFILES.items() for seed in one.seeds])
def test_invariants_hold(run: Callable[[str, int], Result], name: str, seed: int) -> None:
    """Whatever the faults of the seed are, no promise is broken."""
    assert run(name, seed).violations == ()


def test_a_seed_is_one_run(folders: Folders, run: Callable[[str, int], Result]) -> None:
    """The second run of a seed does the same in the same order, so that a failing seed can be replayed."""
    first, again = run("usual", 1), simulate(folders, 1, keep_trace=True)
    assert (again.digest, again.steps, again.seconds) == (first.digest, first.steps, first.seconds)
    assert len(again.lines) == again.events
