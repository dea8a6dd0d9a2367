"""The command replays one seed, prints its trace and what was found, and drops faults that a failure does not need."""

from __future__ import annotations

import pytest

from simulation.__main__ import main
from simulation.mutations import MUTATIONS
from simulation.organisations import Folders
from simulation.simulation import faults_of, shrink

NAME = "rows-of-another-user"


@pytest.mark.wide
def test_a_failing_seed_is_reported_and_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the report names the seed, the promise, and the way to replay it."""
    assert main(["--seed", "1", "--trace", "--mutation", NAME]) == 1
    printed = capsys.readouterr().out
    assert "VIOLATION    an answered REGISTER holds: bob1" in printed
    assert "seed 1: to replay: make simulate ARGS='--seed 1 --trace'" in printed
    assert "seeds that broke an invariant: 1: 1" in printed


@pytest.mark.wide
def test_faults_that_a_failure_does_not_need_are_dropped(folders: Folders) -> None:
    """This failure needs none of them."""
    assert faults_of(1)
    with MUTATIONS[NAME].applied():
        assert shrink(folders, 1, "an answered REGISTER holds") == []
