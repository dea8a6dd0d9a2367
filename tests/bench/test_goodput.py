"""The goodput second by second: what the table shows, and that all is well again after each fault."""

from __future__ import annotations

import sys

import pytest

from bench.goodput import FAULTS, Fault, Second, report

from .conftest import Run

pytestmark = pytest.mark.wide


def test_seconds_in_which_all_arrived_share_a_row() -> None:
    """Those before the fault and those after it do not."""
    seconds = [Second([1.0]), Second([2.0]), Second([3.0]), Second([4.0, 9.0]), Second([], 1, 2, 3), Second([5.0])]
    lines = report([("a fault", seconds)]).splitlines()[2:]
    assert lines == [
        "| a fault | -3 to -1 | 3 | 0 | 0 | 0 | 2.00 | 3.00 |",
        "| a fault | 0 | 2 | 0 | 0 | 0 | 6.50 | 9.00 |",
        "| a fault | 1 | 0 | 1 | 2 | 3 | - | - |",
        "| a fault | 2 | 1 | 0 | 0 | 0 | 5.00 | 5.00 |",
    ]


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.happens.__name__)
def test_every_message_arrives_in_the_last_second(run: Run, fault: Fault) -> None:
    ran = run(sys.executable, "-m", "bench.goodput", "--phones", 9, "--rate", 9, "--fault", fault.name)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert {line.split(" | ")[0] for line in ran.stdout.splitlines()[2:]} == {f"| {fault.name}"}


def test_fewer_phones_than_servers_are_refused(run: Run) -> None:
    refused = run(sys.executable, "-m", "bench.goodput", "--phones", 2)
    assert refused.returncode == 2
    assert "needs a phone" in refused.stderr


def test_unknown_fault_is_refused_with_those_that_there_are(run: Run) -> None:
    refused = run(sys.executable, "-m", "bench.goodput", "--fault", "earthquake")
    assert refused.returncode == 2
    assert "one of 2 workers hangs" in refused.stderr
