"""Both servers of a management pool sync one directory; the leader is killed, or stopped, at each step of a sync."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import directory_steps
from support.directory_ca import HOST, DirectoryCa
from support.managed import MGMT2
from support.management_steps import KEEPS_LOCKS, REFUSED
from support.openldap import OpenLdap, write_password
from support.pool import Pool, pool_on

PATIENCE_S = 1_800
pytestmark = [
    pytest.mark.peer("postgresql"),
    pytest.mark.peer("openldap"),
    pytest.mark.soak,
    pytest.mark.timeout(PATIENCE_S),
]


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    return pool_on(tmp_path, f"{postgres_url}&{KEEPS_LOCKS}")


@pytest.fixture(name="ldap")
def _ldap(tmp_path: Path, pool: Pool) -> Iterator[OpenLdap]:
    """The directory, which the topologies on both hosts name."""
    ca, organisation, second = DirectoryCa(), pool.network.organisation, pool.network.folder(MGMT2)
    with OpenLdap(tmp_path / "ldap", ca.server(HOST)) as ldap:
        for folder in (organisation.folder, second):
            write_password(folder)
            anchors = ca.write(folder)
        organisation.document["directory"] = ldap.keys(**anchors, most_loss=100)
        organisation.write()
        (second / "topology.yaml").write_bytes(organisation.file.read_bytes())
        yield ldap


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_no_user_is_lost_or_doubled_and_no_late_step_gives_access(
    pool: Pool, ldap: OpenLdap, tmp_path: Path, how: str
) -> None:
    files = (str(pool.network.organisation.file), str(pool.network.folder(MGMT2) / "topology.yaml"))
    printed = tmp_path / "printed"
    with printed.open("w") as printing:
        done = subprocess.run(
            [sys.executable, directory_steps.__file__, *files, pool.url, ldap.socket, how],
            stdout=printing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    assert done.returncode == 0, printed.read_text()[-500:] + done.stderr[-3000:]
    *steps, doubled = printed.read_text().splitlines()
    ended = Counter(line.split(" ", 2)[2] for line in steps)
    sys.stdout.write(f"{how}: {dict(ended)}; {doubled}\n")
    assert ended["exited 0"] == len(directory_steps.MOMENTS), "the sync ends well where it is not ended"
    assert ended["killed" if how == "SIGKILL" else f"late {REFUSED}"] >= 10, ended
