"""The measurement of pools of several sizes: every message arrives, with the file and with Valkey."""

from __future__ import annotations

import re
import sys

import pytest

from bench.pool_sizes import ACTS, SIZES, Size, report
from bench.registrations import FILE, VALKEY, Act

from .conftest import Run

pytestmark = pytest.mark.wide


def acts(message_cpu_s: float) -> dict[str, Act]:
    return {name: Act([10.0, 20.0], 0, 1.0, message_cpu_s if name == "message" else 0.001) for name in ACTS}


def test_ratio_is_to_one_front_end_on_the_same_store() -> None:
    text = report(
        [(Size(1, 1, FILE), acts(0.0002)), (Size(2, 1, FILE), acts(0.0003)), (Size(1, 1, VALKEY), acts(0.0004))]
    )
    assert "| file | 1 | 1 | 500.0 | 500.0 | 100.0 | 1.00 | 20.0 | 0 |" in text
    assert "| file | 2 | 1 | 500.0 | 500.0 | 150.0 | 1.50 | 20.0 | 0 |" in text
    assert "| Valkey | 1 | 1 | 500.0 | 500.0 | 200.0 | 1.00 | 20.0 | 0 |" in text


@pytest.mark.soak
@pytest.mark.peer("valkey")
def test_every_message_arrives_in_each_pool(run: Run) -> None:
    ran = run(sys.executable, "-m", "bench.pool_sizes", "--phones", 8)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    rows = re.findall(r"^\| (file|Valkey) \| (\d) \| (\d) \|.*\| (\d+) \|$", ran.stdout, re.MULTILINE)
    assert rows == [(store, *map(str, size), "0") for store in (FILE, VALKEY) for size in SIZES]


def test_fewer_phones_than_servers_are_refused(run: Run) -> None:
    refused = run(sys.executable, "-m", "bench.pool_sizes", "--phones", 3)
    assert refused.returncode == 2
    assert "needs a phone" in refused.stderr
