"""This release starts on the rows of 0.1.0 in PostgreSQL: versions, audit log, ledger, users."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.world import FE2, MGMT, Organisation
from sipmesh.database.shared import FILE, SharedDatabase
from support.postgres import PASSWORD, Cluster
from upgrades.conftest import LISTED_UNTIL, follow_the_page
from upgrades.recorded_folder import RECORDED, name_of

pytestmark = pytest.mark.peer("postgresql")
STOLEN = f"stolen/{FE2}.pem"


@pytest.fixture(name="release")
def _release() -> str:
    return "0.1.0"


@pytest.fixture(name="in_postgresql")
def _in_postgresql(left_behind: Organisation, cluster: Cluster, postgres_url: str) -> Organisation:
    """The folder that 0.1.0 has left behind after it had moved its databases into PostgreSQL."""
    cluster.restore(name_of(postgres_url), (RECORDED / "0.1.0.sql").read_bytes())
    folder = left_behind.folder
    for name in ("management.db", "ca/ledger.db", "users.db"):
        (folder / name).unlink()
    shared = folder / FILE
    shared.touch(0o600)
    shared.write_bytes(SharedDatabase(postgres_url, MGMT).encode())
    _name_in_the_draft(left_behind.file, cluster, postgres_url)
    return left_behind


def _name_in_the_draft(file: Path, cluster: Cluster, url: str) -> None:
    """The topology has no password: the users' is in the environment of the servers."""
    public = cluster.public(url)
    file.write_text(f"{file.read_text()}\nstorage:\n  users: '{public}'\n  management: '{public}'\n")


def test_rows_of_the_first_release_in_postgresql_are_used(
    in_postgresql: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions, audit log, users and revocations are as they were."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    history = in_postgresql.type("topology", "history", "--json")
    assert [version["why"] for version in history.json] == ["example.com begins", "a second front end"]
    assert in_postgresql.type("audit", "verify").code == 0
    follow_the_page(in_postgresql)
    in_postgresql.serve(MGMT)
    network = in_postgresql.type("status", "--json").json
    assert (network["version"], network["master"]["faults"]) == (3, [])
    assert [manager["server"] for manager in network["managers"] if manager["fencing"]] == [MGMT]
    users = in_postgresql.type("user", "list", "--json").json
    assert [(user["user"], user["digest"]) for user in users] == [
        ("alice@example.com", ["SHA-256"]),
        ("bob@example.com", ["MD5"]),
    ]
    revoked = in_postgresql.type("explain", in_postgresql.folder / STOLEN, "--server", MGMT, "--json")
    codes = {finding["code"] for finding in revoked.json["verdict"]["findings"] if not finding["passed"]}
    assert "revoked" in codes or datetime.now(UTC) > LISTED_UNTIL
