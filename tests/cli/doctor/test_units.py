"""What systemd says of the servers of this host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sipmesh.cli.doctor import units
from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.units import unit_check, unit_checks, unit_of

FE1 = "fe1.example.com"
RUNS = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}


@pytest.mark.parametrize(
    ("changed", "now", "state", "remedy"),
    [
        ({}, "runs", State.GOOD, ""),
        ({"LoadState": "not-found"}, "runs", State.WARNING, "install the package"),
        ({"ActiveState": "failed"}, "stopped", State.BAD, f"journalctl -u sipmesh@{FE1}"),
        ({"UnitFileState": "disabled"}, "runs", State.WARNING, f"systemctl enable --now sipmesh@{FE1}"),
        ({"ActiveState": "inactive"}, "runs", State.WARNING, f"systemctl start sipmesh@{FE1}"),
    ],
)
def test_unit_is_judged_by_what_systemd_says(changed: dict[str, str], now: str, state: State, remedy: str) -> None:
    check = unit_check(FE1, {**RUNS, **changed}, runs=now == "runs")
    assert check.state is state
    assert remedy in check.remedy


def test_machine_without_systemd_has_no_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "SYSTEMD", tmp_path / "none")
    [check] = unit_checks([FE1], frozenset())
    assert check.state is State.SKIPPED


def test_systemd_is_asked_for_the_unit_of_each_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that is asked answers as systemctl does; without it there is no unit."""
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\nprintf 'LoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n'\n")
    program.chmod(0o700)
    monkeypatch.setattr(units, "SYSTEMD", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{Path(shutil.which('sh') or '/bin/sh').parent}")
    assert unit_of(FE1) == RUNS
    [check] = unit_checks([FE1], frozenset({FE1}))
    assert check.state is State.GOOD
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert unit_of(FE1) == {}
