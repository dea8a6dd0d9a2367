"""New seeds for as long as the setting says: what they find is replayed by its seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from simulation.faults import FaultSettings
from simulation.findings import Findings
from simulation.organisations import Folders
from simulation.simulation import simulate

MINUTES = float(os.environ.get("SIPMESH_SIMULATION_MINUTES", "60"))
MANY_FAULTS = 40


@pytest.mark.soak
def test_new_seeds_hold(folders: Folders, record_property: Callable[[str, object], None]) -> None:
    """Every soak tries seeds that no soak has tried before: the first one is the time at its start."""
    findings, seed, until = Findings(), int(time.time()), time.monotonic() + 60 * MINUTES
    while time.monotonic() < until:
        findings.add(simulate(folders, seed, settings=FaultSettings(MANY_FAULTS)))
        seed += 1
    record_property("simulation", findings.summary())
    assert not findings.failed, f"{findings.summary()}\nmake simulate ARGS='--faults {MANY_FAULTS} --seed SEED --trace'"
