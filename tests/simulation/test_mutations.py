"""The simulator finds each fault of the table within its budget; the same seeds without the fault pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.mutations import MUTATIONS
from simulation.organisations import Folders
from simulation.simulation import Result, simulate


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_in_the_product_is_found(folders: Folders, name: str) -> None:
    """A broken promise is seen, under the name of the promise."""
    mutation = MUTATIONS[name]
    with mutation.applied():
        assert simulate(folders, mutation.seed).rule == mutation.rule


@pytest.mark.parametrize("seed", sorted({mutation.seed for mutation in MUTATIONS.values()}))
def test_the_same_seed_passes_without_the_fault(run: Callable[[int], Result], seed: int) -> None:
    """What a seed finds is the fault, and not the seed."""
    assert run(seed).violations == ()
