"""On a host that does not lead, a refused command names the leader, and what to type there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipmesh.cli.leader import say_where_to_run
from sipmesh.database.shared import SharedDatabase
from sipmesh.demo import forkserver
from sipmesh.errors import NotLeadingError
from sipmesh.storage.management_db import ManagementDb
from support.managed import MGMT, MGMT2
from support.network import FE1
from support.pool import Pool, build_pool
from support.running import on_loop

LEADS = f"{MGMT} leads the management pool, with fencing number"


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    organisation, entry = build_pool(tmp_path / "m")
    return Pool.make(organisation, entry, tmp_path, postgres_url)


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["ca", "revoke", "fe1.example.test"], "sipmesh ca revoke fe1.example.test"),
        (["ca", "revoke", "x", "--topology", "/a b/t.yaml"], "sipmesh ca revoke x"),
        (["-t", "t.yaml", "partner", "block", "evil.test"], "sipmesh partner block evil.test"),
        (["status", "--topology=t.yaml"], "sipmesh status"),
        (["topology", "publish", "-m", "a second server"], "sipmesh topology publish -m 'a second server'"),
    ],
)
def test_command_is_printed_as_it_is_typed_on_the_other_host(
    capsys: pytest.CaptureFixture[str], arguments: list[str], typed: str
) -> None:
    say_where_to_run(MGMT, arguments)
    first, *more = capsys.readouterr().err.splitlines()
    assert first.strip() == f"→ on the host of {MGMT}: {typed}"
    assert bool(more) == ("publish" in arguments)
    say_where_to_run("", arguments)
    assert capsys.readouterr().err == ""


@pytest.mark.wide
@pytest.mark.peer("postgresql")
@on_loop
async def test_each_command_of_a_server_that_follows_names_the_leader(pool: Pool) -> None:
    network = pool.network
    async with network:
        await network.start(MGMT)
        pool.join()
        await pool.join_pool()
        await network.start(MGMT2)
        before = history(pool)
        for arguments in (
            ["topology", "publish", "-m", "why"],
            ["ca", "revoke", FE1],
        ):
            told = await type_at(pool, MGMT2, arguments, code=1)
            assert LEADS in told
            assert f"→ on the host of {MGMT}: sipmesh {' '.join(arguments)}" in told
        with pytest.raises(NotLeadingError, match=LEADS):
            await network.ask(MGMT2, "block", name="evil.test")
        assert history(pool) == before
        draft = pool.network.folder(MGMT2) / "topology.yaml"
        written = draft.read_bytes()
        for arguments in (
            ["ca", "root", "prepare"],
            ["ca", "root", "retire"],
            ["topology", "add", "domain", "more.test"],
            ["partner", "unblock", "evil.test"],
            ["console", "token", "carol"],
        ):
            assert LEADS in await type_at(pool, MGMT2, arguments, code=1), arguments
        assert draft.read_bytes() == written
        await type_at(pool, MGMT, ["topology", "add", "domain", "more.test"])
        add = ["user", "add", "carol@example.test", "--password-stdin"]
        assert LEADS in await type_at(pool, MGMT2, add, typed="a-long-secret\n", code=1)
        await type_at(pool, MGMT, add, typed="a-long-secret\n")  # the user was not added before
        await network.ask(MGMT, "block", name="evil.test")
        assert history(pool) == before + 1


def history(pool: Pool) -> int:
    """The number of versions."""
    shared = SharedDatabase(pool.url, MGMT2)
    management_db = ManagementDb(pool.network.folder(MGMT2), shared)
    try:
        return len(management_db.history.list())
    finally:
        management_db.close()


async def type_at(pool: Pool, server: str, arguments: list[str], *, typed: str = "", code: int = 0) -> str:
    """Run a command on the host of a management server."""
    folder = pool.network.folder(server)
    status, printed = await asyncio.to_thread(forkserver.run, arguments, folder, typed, COLUMNS="300")
    assert status == code, printed
    return printed
