"""The leader of a management pool is killed, or stopped, in each step of a change of the root; the other one finishes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support import management_steps, root_steps
from support.managed import MGMT, MGMT2
from support.management_steps import KEEPS_LOCKS
from support.pool import pool_on

PATIENCE_S = 3600
"""Each moment of a step is a whole change of the root, which takes some seconds, or a minute on a machine under load."""

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.soak, pytest.mark.timeout(PATIENCE_S)]


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
@pytest.mark.parametrize("act", root_steps.STEPS)
def test_other_server_finishes_the_change_of_the_root_and_no_late_step_counts(
    tmp_path: Path, postgres_url: str, act: str, how: str
) -> None:
    pool = pool_on(tmp_path, f"{postgres_url}&{KEEPS_LOCKS}")
    folders = (str(pool.network.folder(MGMT)), str(pool.network.folder(MGMT2)))
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, root_steps.__file__, *folders, pool.url, act, how],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    ended = Counter(line.split(" ", 2)[2] for line in done.stdout.splitlines())
    assert ended["exited 0"] == len(root_steps.MOMENTS), "the step ends well where it is not ended"
    assert ended.total() - ended["exited 0"] >= 2, ended
    assert set(ended) <= {"exited 0", "killed" if how == "SIGKILL" else "late 0", f"late {management_steps.REFUSED}"}
