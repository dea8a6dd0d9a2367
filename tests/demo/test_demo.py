"""The demo as a newcomer runs it: every line is as expected, and no process is left."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sipmesh.demo.score import COLUMNS

COMMAND = [sys.executable, "-m", "sipmesh", "demo"]
PATIENCE_S = 120.0


def test_every_line_of_the_demo_is_as_expected(tmp_path: Path) -> None:
    """It fits on a screen of 80 columns, in about as many lines as a person reads."""
    findings = tmp_path / "findings.txt"
    command = [*COMMAND, "--findings", str(findings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.strip().splitlines()
    assert re.fullmatch(r"(\d+) of \1 results are as expected, in \d+ s\.", shown[-1]), shown[-1]
    assert shown[-2] == f"Full findings: {findings}"
    assert "✗" not in done.stdout
    assert max(map(len, [*shown[:3], *shown[4:-2]])) <= COLUMNS  # except for the two lines with a file name
    assert len(shown) <= 130
    assert findings.read_text().count("remedy:") > 20


def test_demo_with_pauses_waits_for_the_enter_key(tmp_path: Path) -> None:
    """The standard input ends here, so nothing waits."""
    command = [*COMMAND, "--pause", "--findings", str(tmp_path / "f.txt")]
    done = subprocess.run(command, input="\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Press Enter for the next act.") == 5


def descendants(pid: int) -> set[int]:
    """Return the child pids of *pid*, from the kernel."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def read_until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Read the output of the demo until *words* are in it."""
    assert process.stdout is not None
    seen, until = b"", time.monotonic() + PATIENCE_S
    while words not in seen:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65_536) if ready else b""
        if not chunk:
            raise AssertionError(f"ended without {words!r}:\n{seen.decode(errors='replace')}")
        seen += chunk
    return seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_kept_demo_stops_on_a_signal_and_leaves_no_process(number: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--keep"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        seen = read_until(process, b"Ctrl-C stops it")
        assert b"carol-secret" in seen
        children = descendants(process.pid)
        assert len(children) >= 5
        process.send_signal(number)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
