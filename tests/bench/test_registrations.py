"""The measurement of registrations: every phone is back after a server has died, with the file and with Valkey."""

from __future__ import annotations

import re
import sys

import pytest

from bench.registrations import FILE, VALKEY, Act, report

from .conftest import Run

pytestmark = pytest.mark.wide


def test_ratio_is_the_median_over_the_rounds_and_failures_are_added() -> None:
    """The middle of the ratios, not the ratio of the middles: the speed of the machine changes from round to round."""
    in_file = [Act([10.0, 20.0], 0, 1.0, 0.001), Act([40.0, 80.0], 1, 4.0, 0.004), Act([10.0, 20.0], 0, 1.0, 0.001)]
    in_valkey = [Act([20.0, 40.0], 0, 2.0, 0.002), Act([80.0, 160.0], 0, 8.0, 0.008), Act([20.0, 40.0], 2, 2.0, 0.002)]
    text = report({(FILE, "refresh"): in_file, (VALKEY, "refresh"): in_valkey})
    assert "| refresh | server CPU, µs | 500.0 | 1,000 | 2.00 |" in text
    assert "| refresh | p99, ms | 20.0 | 40.0 | 2.00 |" in text
    assert "| refresh | a second | 2.00 | 1.00 | 0.50 |" in text
    assert "| refresh | failures | 1 | 2 |  |" in text


@pytest.mark.soak
@pytest.mark.peer("valkey")
def test_phones_of_a_server_that_died_are_back_and_reached_with_both_stores(run: Run) -> None:
    ran = run(sys.executable, "-m", "bench.registrations", "--phones", 9, "--rounds", 1)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    failures = re.findall(r"^\| (.*) \| failures \| (\d+) \| (\d+) \|", ran.stdout, re.MULTILINE)
    assert failures == [("first login", "0", "0"), ("refresh", "0", "0"), ("storm", "0", "0")]


def test_fewer_phones_than_servers_are_refused(run: Run) -> None:
    refused = run(sys.executable, "-m", "bench.registrations", "--phones", 2)
    assert refused.returncode == 2
    assert "needs a phone" in refused.stderr
