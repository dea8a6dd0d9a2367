"""The measurement of revocations against a real server, in short: it measures, and it ends."""

from __future__ import annotations

import re
import sys

import pytest

from .conftest import Run

pytestmark = pytest.mark.wide


def test_every_revocation_brings_its_link_down(run: Run) -> None:
    """The status is not looked at: it tells whether each took less than a second, and this machine may be busy."""
    ran = run(sys.executable, "-m", "bench.revocation", "--runs", 2, "--bystanders", 2)
    told = re.findall(
        r"^(.*): link down after ([\d.]+) s \(median\), ([\d.]+) s \(worst of 2\)$", ran.stdout, re.MULTILINE
    )
    assert [way for way, _, _ in told] == ["ca revoke, as typed", "the CA alone"], ran.stderr
    assert all(float(median) <= float(worst) < 10 for _, median, worst in told)


def test_more_bystanders_than_one_server_may_open_are_refused(run: Run) -> None:
    refused = run(sys.executable, "-m", "bench.revocation", "--bystanders", 16)
    assert refused.returncode == 2
    assert "15 at most" in refused.stderr
