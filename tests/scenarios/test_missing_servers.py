"""Who is waited for when a version is published: servers that run, and no server that was never started."""

from __future__ import annotations

from typing import Any

import pytest

from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.running import on_loop, until

WAIT_S = 300.0


async def published(managed: Managed, days: int) -> dict[str, Any]:
    """Publish a version, and wait until all its servers that can be reached have it."""
    version = (await managed.publish(lambda document: document.update(call_records={"days": days})))["version"]
    return dict(await managed.ask(MGMT, "acknowledged", version=version, wait_s=WAIT_S))


@pytest.mark.wide
@on_loop
async def test_publication_waits_for_no_server_that_was_never_started(managed: Managed) -> None:
    """Management dials FE2 at once, and FE1 the edge: both ports refuse."""
    async with managed:
        await managed.start(MGMT, FE1)
        assert {FE2, EDGE} <= set((await published(managed, 10))["missing"])


@pytest.mark.wide
@on_loop
async def test_server_that_has_just_started_is_not_missing(managed: Managed) -> None:
    """The dial before has failed, and the next one was seconds away."""
    async with managed:
        await managed.start(MGMT, FE1)
        await published(managed, 10)
        await until(lambda: managed.master.fault_of(FE2) is not None)
        await managed.start(FE2, EDGE)
        assert not {FE1, FE2, EDGE} & set((await published(managed, 20))["missing"])
