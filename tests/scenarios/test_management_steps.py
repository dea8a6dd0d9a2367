"""The leader of a management pool is killed, or stopped, at each step of each of its acts, and the other server goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support import management_steps
from support.managed import MGMT, MGMT2
from support.management_steps import KEEPS_LOCKS
from support.pool import Pool, pool_on

PATIENCE_S = 900
pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.soak, pytest.mark.timeout(PATIENCE_S)]


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    return pool_on(tmp_path, f"{postgres_url}&{KEEPS_LOCKS}")


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
@pytest.mark.parametrize("act", ["publish", "revoke", "renew"])
def test_other_server_goes_on_after_each_step_and_no_late_act_counts(pool: Pool, act: str, how: str) -> None:
    folders = (str(pool.network.folder(MGMT)), str(pool.network.folder(MGMT2)))
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, management_steps.__file__, *folders, pool.url, act, how],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ended = Counter(line.split(" ", 2)[2] for line in done.stdout.splitlines())
    assert ended["exited 0"] == len(management_steps.MOMENTS), "the act ends well where it is not ended"
    assert ended["killed" if how == "SIGKILL" else f"late {management_steps.REFUSED}"] >= 10, ended
    assert not {how for how in ended if how.startswith("late") and how[-1] not in "03"}, ended
