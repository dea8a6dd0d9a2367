"""Rotation under load against a real server: nothing is lost, in short here and for a minute in `make soak`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import BENCH, SOURCES, Run

pytestmark = pytest.mark.wide


def told(said: str) -> list[tuple[str, str]]:
    """The figures of a run, in the order in which they stand."""
    return re.findall(r"(\d[\d,]*) (requests in|refused|unanswered|links at|of them gone|certificates)", said)


def test_certificates_change_under_load_and_nothing_is_lost(run: Run, load: Path) -> None:
    ran = run(sys.executable, "-m", "bench.rotation", "--seconds", 4, "--rate", 100, "--load", load)
    assert ran.returncode == 0, ran
    found = {what: int(count.replace(",", "")) for count, what in told(ran.stdout)}
    assert (found["refused"], found["unanswered"], found["of them gone"]) == (0, 0, 0)
    assert found["links at"] == 21
    assert found["requests in"] >= 1  # of 400; a busy machine sends fewer, and loses none
    assert found["certificates"] >= 1


def test_a_load_that_does_not_start_is_reported(run: Run) -> None:
    ran = run(sys.executable, "-m", "bench.rotation", "--seconds", 1, "--load", "/bin/false")
    assert ran.returncode == 1
    assert ran.stderr.startswith("the load does not start")


@pytest.mark.soak
def test_a_minute_of_rotations_every_second_loses_nothing(load: Path) -> None:
    command = [sys.executable, "-m", "bench.rotation", "--seconds", "60", "--load", str(load)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{SOURCES}:{BENCH.parent}"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    print(ran.stdout)  # noqa: T201 - the figures are for the reader
    assert ran.returncode == 0, ran
