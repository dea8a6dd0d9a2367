"""`sipmesh user erase`, as a security officer types it."""

from __future__ import annotations

from pathlib import Path

from cli.world import Organisation
from support.managed import MGMT, Managed, build_published, second_pool
from support.recording import record
from support.running import on_loop


@on_loop
async def test_user_is_erased_and_servers_without_a_link_are_named(tmp_path: Path) -> None:
    network = Managed(build_published(tmp_path / "m", second_pool(), call_records={}), tmp_path)
    async with network:
        await network.start(MGMT)
        await network.master.calls.in_store(lambda store: store.add([record()]))
        told = await network.type("user", "erase", "bob")
        assert "bob@example.test is erased from 1 record at management" in told
        assert "Not linked, so their records still have the user: " in told
        assert '"records": 0' in await network.type("user", "erase", "bob", "--json")


def test_command_needs_management(organisation: Organisation) -> None:
    result = organisation.type("user", "erase", "bob")
    assert (result.code, "management does not run on this machine" in result.err) == (1, True)
