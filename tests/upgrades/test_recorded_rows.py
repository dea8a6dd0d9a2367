"""This release starts on the rows of 0.1.0 in PostgreSQL: versions, audit log, ledger, users, stored messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from cli.world import EDGE, FE1, FE2, MGMT, START_S, Organisation, until
from sipmesh.demo.ports import free_port
from support.postgres import OWNER, Cluster
from upgrades.conftest import LISTED_UNTIL, bob_waits, follow_the_page, serve_all, until_good
from upgrades.recorded_folder import BEFORE, RECORDED, recorded

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.wide]
RELEASE = f"{BEFORE}-postgresql"
DATABASE = "sipmesh"
STOLEN = f"stolen/{FE2}.pem"


@pytest.fixture(name="in_postgresql")
def _in_postgresql(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Organisation]:
    """What 0.1.0 has left behind after it had moved its tables into PostgreSQL. The environment says where that is."""
    monkeypatch.setenv("PGHOST", str(cluster.folder))
    folder: Path = tmp_path_factory.mktemp("u")
    recorded(RELEASE, folder)
    with cluster.named(DATABASE):
        cluster.restore(DATABASE, (RECORDED / f"{RELEASE}.sql").read_bytes())
        with psycopg.connect(host=str(cluster.folder), user=OWNER, dbname=DATABASE) as db:
            db.execute("UPDATE stored_messages SET expires = %s", (time.time() + 3600,))
        organisation = Organisation(folder)
        organisation.choose_ports(free_port, whole=False)
        yield organisation
        organisation.stop()


def test_versions_users_and_revocations_of_the_first_release_in_postgresql_are_used(
    in_postgresql: Organisation,
) -> None:
    history = in_postgresql.type("topology", "history", "--json").json
    assert [version["why"] for version in history] == [
        "example.com begins",
        "a second front end, an edge and workers",
        "example.org is a partner",
        "tables in PostgreSQL",
    ]
    assert in_postgresql.type("audit", "verify").code == 0
    follow_the_page(in_postgresql)
    in_postgresql.serve(MGMT)
    ends = time.monotonic() + START_S
    while not (network := in_postgresql.type("status", "--json").json)["managers"]:
        assert time.monotonic() < ends, (
            network
        )  # the server has claimed the lease, and reads who is in its pool a moment later
    assert (network["version"], network["master"]["faults"]) == (len(history) + 1, [])
    assert [manager["server"] for manager in network["managers"] if manager["fencing"]] == [MGMT]
    users = in_postgresql.type("user", "list", "--json").json
    assert [(user["user"], user["digest"]) for user in users] == [
        ("alice@example.com", ["SHA-256"]),
        ("bob@example.com", ["MD5"]),
    ]
    revoked = in_postgresql.type("explain", in_postgresql.folder / STOLEN, "--server", MGMT, "--json")
    codes = {finding["code"] for finding in revoked.json["verdict"]["findings"] if not finding["passed"]}
    assert "revoked" in codes or datetime.now(UTC) > LISTED_UNTIL


def test_message_that_the_first_release_has_stored_in_postgresql_arrives(in_postgresql: Organisation) -> None:
    """A worker of the first release has stored it; the second front end delivers it, and what the file had stays there."""
    follow_the_page(in_postgresql)
    forget_ports(in_postgresql)
    serve_all(in_postgresql)
    until_good(in_postgresql)
    log = in_postgresql.folder / "bob.log"
    with bob_waits(in_postgresql, log):
        until("before the update, from alice@example.com", log)
    assert "carol" not in log.read_text()


def forget_ports(organisation: Organisation) -> None:
    """Let servers have no version yet, as after `ca issue`: with the recorded one they would listen on the ports of 0.1.0."""
    for name in (FE1, FE2, EDGE):
        for file in (*organisation.folder.glob(f"state/{name}.*"), *organisation.folder.glob(f"servers/{name}.*")):
            if file.suffix not in {".key", ".pem", ".token-key"}:
                file.unlink()
