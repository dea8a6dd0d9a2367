"""What every message meets."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sipmesh.cli.versions import built
from support.network import FE1, Network
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_relay_and_dispatch_share_one_way_to_home_pools(two_pools: Network) -> None:
    async with server_parts(two_pools.organisations[0], FE1) as parts:
        decisions = parts.decisions
        assert decisions.relay._access is decisions.access is decisions.core.state.access
        assert decisions.core.state.home_flows is decisions.home_flows
        assert repr(decisions).startswith("<DecisionParts <Dispatch ")


@pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")
@on_loop
async def test_end_of_a_carried_flow_reaches_every_part(two_pools: Network) -> None:
    async with server_parts(two_pools.organisations[0], FE1) as parts:
        ended: list[Any] = []
        removal = cast("Any", parts.decisions.removal)
        removal.flow_ended = ended.append
        flow = cast("Any", object())
        parts.decisions._carried_flow_ended(flow)
        assert ended == [flow]
