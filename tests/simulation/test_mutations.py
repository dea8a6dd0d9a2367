"""The simulator finds each fault of the table within the seeds of its profile; `test_seeds` shows that these pass without it."""

from __future__ import annotations

import pytest

from simulation.mutations import MUTATIONS
from simulation.organisations import Folders
from simulation.simulation import PROFILES, simulate


@pytest.mark.wide
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_in_the_product_is_found(folders: Folders, name: str) -> None:
    """A promise is seen to be broken; a mere exception would not show that the promises are worth anything."""
    profile = PROFILES[MUTATIONS[name].profile]
    with MUTATIONS[name].applied():
        runs = (simulate(folders, seed, settings=profile.settings).rule for seed in profile.seeds)
        broken = next((rule for rule in runs if rule), "")
    assert broken not in {"", "no exception reaches the loop"}
