"""The CPU time of a test: this process and what it has started."""

from __future__ import annotations

import subprocess
import sys
from typing import NoReturn

import pytest

from support.cpu_time import TICK_S, cpu_time

USED_S = 0.05
WORK = f"import sys, time\nwhile time.process_time() < {USED_S}: pass\nprint('done', flush=True)\nsys.stdin.read()"
"""Uses so much CPU time, and ends when its standard input does."""


def test_process_counts_while_it_runs_and_after_its_end() -> None:
    before = cpu_time()
    with subprocess.Popen([sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_time() - before >= USED_S - 2 * TICK_S, "user and system time are each rounded down"
    assert cpu_time() - before >= USED_S


def test_functions_that_a_test_has_replaced_are_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is made while what a test has replaced is still in place."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    for name in ("os.open", "os.read", "os.listdir", "builtins.open", "pathlib.Path.open", "time.process_time"):
        monkeypatch.setattr(name, refuse)
    assert cpu_time() > 0


def test_time_never_decreases_and_needs_no_process() -> None:
    times = [cpu_time() for _ in range(3)]
    assert times == sorted(times)
