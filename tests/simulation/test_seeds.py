"""Fixed seeds in which every invariant holds, and that a seed stands for one run only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simulation.organisations import Folders
from simulation.simulation import PROFILES, simulate
from sipmesh.demo.ports import PortBlock
from support.tiers import wide_after

REPEATED = ("usual", 1)
SEEDS = [(name, seed) for name, one in PROFILES.items() for seed in one.seeds]


@pytest.mark.parametrize(("name", "seed"), wide_after(1, [run for run in SEEDS[::-1] if run != REPEATED]))
@pytest.mark.wide
def test_invariants_hold(folders: Folders, name: str, seed: int) -> None:
    """Under all faults of the seed, no promise is broken."""
    assert simulate(folders, seed, settings=PROFILES[name].settings).violations == ()


@pytest.mark.wide
def test_a_seed_is_one_run(folders: Folders) -> None:
    """The second run of a seed does the same in the same order, so that a failing seed can be replayed."""
    name, seed = REPEATED
    first, again = (
        simulate(folders, seed, settings=PROFILES[name].settings, keep_trace=kept) for kept in (False, True)
    )
    assert first.violations == ()
    assert (again.digest, again.steps, again.seconds) == (first.digest, first.steps, first.seconds)
    assert len(again.lines) == again.events


@pytest.mark.wide
def test_model_does_not_depend_on_what_the_process_did_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first free port that a process looks for costs random octets. A run has ports of its own."""
    contents = []
    for block in (None, PortBlock()):
        monkeypatch.setattr("sipmesh.demo.ports._block", block)
        Folders(tmp_path).build()
        contents.append({file.name: file.read_bytes() for file in (tmp_path / "model").rglob("*.pem")})
        shutil.rmtree(tmp_path / "model")
    assert contents[0] == contents[1]
