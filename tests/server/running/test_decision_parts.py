"""What every message meets."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.network import FE1
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_dispatch_hands_requests_to_the_core_that_the_step_decides_for(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        assert parts.decisions.dispatch.core is parts.decisions.core
