"""What every message meets."""

from __future__ import annotations

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
