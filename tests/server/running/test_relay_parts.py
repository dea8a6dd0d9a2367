"""What sends requests on, and what ends with a flow."""

from __future__ import annotations

from support.network import FE1, Network
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_relay_and_step_share_one_way_to_home_pools(two_pools: Network) -> None:
    async with server_parts(two_pools.organisations[0], FE1) as parts:
        relays, state = parts.relays, parts.decisions.core.state
        assert relays.relay._access is relays.access is state.access
        assert state.home_flows is relays.home_flows
