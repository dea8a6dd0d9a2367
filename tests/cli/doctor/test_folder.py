"""The folder of the organisation: topology, certificates, modes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.folder import certificate_checks, file_checks, topology_checks
from sipmesh.errors import Problem
from sipmesh.pki.files import others_can_write_to

PROBLEM = Problem(Path("topology.yaml"), 7, "pools[0].role", "is no role", "write one of the roles")


def test_problem_of_the_draft_is_a_fault_only_if_no_version_is_in_force() -> None:
    [alone], [published], [valid] = topology_checks([PROBLEM], 0), topology_checks([PROBLEM], 3), topology_checks([], 3)
    assert (alone.state, published.state, valid.state) == (State.BAD, State.WARNING, State.GOOD)
    assert alone.told == "topology.yaml:7 pools[0].role: is no role"
    [lacking] = certificate_checks([PROBLEM])
    assert lacking.state is State.BAD


def test_secret_file_of_others_is_a_fault_until_its_remedy_is_typed(tmp_path: Path) -> None:
    key = tmp_path / "fe1.key"
    key.touch()
    key.chmod(0o640)
    [check] = file_checks([key], [])
    assert check.state is State.BAD
    subprocess.run(shlex.split(check.remedy), check=True)
    [mended] = file_checks([key], [])
    assert mended.state is State.GOOD


def test_place_to_which_others_can_write_is_a_warning_until_its_remedy_is_typed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o775)
    [check] = file_checks([], others_can_write_to(state))
    assert check.state is State.WARNING
    subprocess.run(shlex.split(check.remedy.partition(";")[0]), check=True)
    [mended] = file_checks([tmp_path / "absent"], others_can_write_to(state))
    assert mended.state is State.GOOD
