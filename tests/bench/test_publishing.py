"""The measurement of publications and revocations in real processes, in short: it measures, and keeps far within its promises.

What is asserted is ten times what is promised: the machine that runs the tests may be busy with all the others.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from bench.publishing import PUBLISH_PROMISE_S, REVOKE_PROMISE_S

from .conftest import BENCH, SOURCES

pytestmark = pytest.mark.wide

LONGEST_S = 600.0
PROMISES = {"publish": PUBLISH_PROMISE_S, "ca": REVOKE_PROMISE_S, "revoked": REVOKE_PROMISE_S}
TOLD = re.compile(r"^(\w+)\b.*: ([\d.]+) s \(median\), ([\d.]+) s \(worst of (\d+)\)", re.MULTILINE)


def figures(printed: str) -> dict[str, tuple[float, float, int]]:
    return {what: (float(median), float(worst), int(runs)) for what, median, worst, runs in TOLD.findall(printed)}


def measured(*options: object) -> subprocess.CompletedProcess[str]:
    """Run the measurement and give what it printed; the status is not looked at, since this machine may be busy."""
    command = [sys.executable, "-m", "bench.publishing", *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": f"{SOURCES}{os.pathsep}{BENCH.parent}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False)


@pytest.mark.soak
def test_publication_and_revocation_are_in_force_on_eight_servers_in_time() -> None:
    """Twenty of each; the promise itself is for a machine without other work."""
    ran = measured()
    sys.stdout.write(ran.stdout)
    found = figures(ran.stdout)
    assert "all 8 servers" in ran.stdout, ran.stdout + ran.stderr
    for what, promise_s in PROMISES.items():
        _, worst, runs = found[what]
        assert runs == 20
        assert worst <= 10 * promise_s


def test_cost_of_a_handshake_does_not_grow_and_that_of_the_rest_grows_in_proportion() -> None:
    """Counted in calls, which no machine's mood can move: ten times the network takes at most ten times as many."""
    ran = measured("--growth", "--servers", 20, 200, "--partners", 5, 50, "--repeats", 1)
    table = ran.stdout.partition("Calls of functions")[2].partition("Memory")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    ratios = {row[0]: float(row[-1]) for row in rows if row[0] and row[0] != "---"}
    assert len(ratios) == 10, ran.stdout + ran.stderr
    for what, ratio in ratios.items():
        assert ratio <= (1.01 if what.startswith("judge") or what == "sign" else 10.5), (what, ratio)
