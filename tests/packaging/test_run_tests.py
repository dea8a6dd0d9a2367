"""A test that fails beside others and passes alone is named; a test that fails twice fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT

PASSES = "def test_passes():\n    pass\n"
FAILS = "def test_fails():\n    assert False\n"
FAILS_ONCE = """
from pathlib import Path

def test_fails_once():
    been = Path(__file__).with_suffix(".been")
    again = been.exists()
    been.touch()
    assert again
"""


def run(folder: Path, *tests: str, processes: int = 0) -> subprocess.CompletedProcess[str]:
    """Run *tests*, each the text of a module, in *folder*, by so many *processes* of pytest-xdist. No other plugin is loaded."""
    (folder / "pytest.ini").touch()
    for number, text in enumerate(tests):
        (folder / f"test_{number}.py").write_text(text)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-n", str(processes)]
    return subprocess.run(
        [str(ROOT / "tools" / "run_tests"), *pytest_command],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.wide
def test_run_that_passes_runs_nothing_again(tmp_path: Path) -> None:
    done = run(tmp_path, PASSES)
    assert (done.returncode, "Once more" in done.stdout) == (0, False)


@pytest.mark.wide
def test_test_that_passes_alone_is_named_and_the_run_is_green(tmp_path: Path) -> None:
    done = run(tmp_path, PASSES, FAILS_ONCE, processes=1)
    assert done.returncode == 0
    assert done.stdout.endswith("mend it:\n  test_1.py::test_fails_once\n")


@pytest.mark.wide
def test_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, PASSES, FAILS, FAILS_ONCE)
    assert done.returncode == 1
    assert "mend it" not in done.stdout


@pytest.mark.parametrize("tests", [[FAILS_ONCE] * 6, ["import nothing_of_this_name\n"]])
def test_many_failures_and_modules_that_cannot_be_read_are_not_run_again(tmp_path: Path, tests: list[str]) -> None:
    done = run(tmp_path, *tests)
    assert done.returncode != 0
    assert "mend it" not in done.stdout
