"""Each property holds for the seeds, for all inputs that have broken it once, and for some that are made from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.by_hypothesis import run_round
from fuzz.target import CRASHERS, Target
from fuzz.targets import TARGETS
from support.examples import SOAKS

KEPT = [
    pytest.param(target, file, id=f"{name}-{file.name}") for name, target in TARGETS.items() for file in target.kept()
]
EXAMPLES = 5000 if SOAKS else 40


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_property_holds_for_the_seeds(target: Target) -> None:
    for seed in target.seeds:
        target.run(seed)
        target.run(seed * (600 // len(seed) + 1))


@pytest.mark.parametrize(("target", "file"), KEPT)
def test_property_holds_for_what_has_broken_it_once(target: Target, file: Path) -> None:
    target.run(file.read_bytes())


@pytest.mark.more_in_soak
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_property_holds_for_edited_inputs(target: Target) -> None:
    corpus = [*target.seeds, *(file.read_bytes() for file in target.kept())]
    assert run_round(target, corpus, 1, EXAMPLES)[1] is None


def test_each_folder_of_kept_inputs_has_a_target() -> None:
    assert {folder.name for folder in CRASHERS.iterdir() if folder.is_dir()} <= TARGETS.keys()
