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

from sipmesh.demo.score import COLUMNS

COMMAND = [sys.executable, "-m", "sipmesh", "demo"]
PATIENCE_S = 120.0
PAUSE = "Press Enter for the next act."


def test_every_line_of_the_demo_comes_out_as_it_must(tmp_path: Path) -> None:
    """And fits on a screen of 80 columns, in about as many lines as a person reads.

    It waits for the Enter key between two acts. The standard input ends after the first one: then nothing waits.
    """
    findings = tmp_path / "findings.txt"
    command = [*COMMAND, "--pause", "--findings", str(findings)]
    done = subprocess.run(command, input="\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(PAUSE) == 5
    shown = [line for line in done.stdout.replace(PAUSE, "\n").strip().splitlines() if line.strip()]
    assert re.fullmatch(r"(\d+) of \1 results are as expected, in \d+ s\.", shown[-1]), shown[-1]
    assert shown[-2] == f"Full findings: {findings}"
    assert "✗" not in done.stdout
    assert max(len(line) for line in shown if str(tmp_path.parent) not in line) <= COLUMNS
    assert len(done.stdout.splitlines()) <= 130
    assert findings.read_text().count("remedy:") > 20


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


def test_a_demo_that_was_kept_stops_on_a_signal_and_leaves_no_process() -> None:
    with subprocess.Popen([*COMMAND, "--keep"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        seen = read_until(process, b"Ctrl-C stops it")
        assert b"carol-secret" in seen
        children = descendants(process.pid)
        assert len(children) >= 5
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_demo_that_is_ended_in_its_first_act_leaves_no_process() -> None:
    command = [*COMMAND, "--pause"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        read_until(process, PAUSE.encode())
        children = descendants(process.pid)
        assert len(children) >= 5
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=PATIENCE_S)
    assert printed.splitlines()[-1] == b"stopping"
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
