"""A management host that is off during a whole change of the root comes back by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.managed import MGMT, MGMT2
from support.pool import pool_on
from support.root_steps import STEPS, RootHost

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.wide]


@pytest.mark.parametrize("seen", [0, 1, 2], ids=["nothing", "the new root", "the new issuing CA"])
def test_host_that_was_off_during_a_change_of_the_root_follows_and_leads(
    seen: int, tmp_path: Path, postgres_url: str
) -> None:
    """The host has followed the first steps only. All that counts now is signed under the new root."""
    pool = pool_on(tmp_path, postgres_url)
    folders = pool.network.folder(MGMT), pool.network.folder(MGMT2)
    first, second = RootHost(folders[0], pool.url, MGMT), RootHost(folders[1], pool.url, MGMT2)
    first.lead()
    first.give()
    second.follow()
    for n, name in enumerate(STEPS):
        getattr(first, name)()
        first.give()
        if n < seen:
            second.follow()
        if name == "activate":  # as a server that takes over: it signs each file again, under the old root
            first.database.lease.overtake(first.database.lease.fencing)
            first.give()
    serial = first.issue()
    first.revoke(serial)
    for ca in first.generations.alive:
        ca.crls.publish(datetime.now(UTC))
    first.give()
    second.follow()
    second.check({serial})
    second.lead()
    second.revoke(second.issue())
    second.give()
    first.follow()
    first.check({serial})
