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
PAUSE = "Press Enter for the next act."


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


@pytest.mark.wide
def test_every_line_is_as_it_must_be_and_a_demo_that_was_kept_leaves_no_process(tmp_path: Path) -> None:
    """The lines fit on a screen of 80 columns, and are about as many as a person reads.

    The demo waits for the Enter key between two acts. The standard input ends after the first one: then nothing waits.
    """
    findings = tmp_path / "findings.txt"
    command = [*COMMAND, "--pause", "--keep", "--findings", str(findings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        printed = read_until(process, b"Ctrl-C stops it").decode()
        children = descendants(process.pid)
        assert len(children) >= 5
        process.send_signal(signal.SIGINT)
        process.stdin = None  # it is closed
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    played, _, kept = printed.partition("\nThe network goes on running")
    assert "carol-secret" in kept
    assert_as_it_must_be(played, findings)


def assert_as_it_must_be(printed: str, findings: Path) -> None:
    assert printed.count(PAUSE) == 5
    shown = [line for line in printed.replace(PAUSE, "\n").strip().splitlines() if line.strip()]
    assert re.fullmatch(r"(\d+) of \1 results are as expected, in \d+ s\.", shown[-1]), shown[-1]
    assert shown[-2] == f"Full findings: {findings}"
    assert "✗" not in printed
    assert max(len(line) for line in shown if str(findings.parent.parent) not in line) <= COLUMNS
    assert len(printed.splitlines()) <= 130
    assert findings.read_text().count("remedy:") > 20


@pytest.mark.wide
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
