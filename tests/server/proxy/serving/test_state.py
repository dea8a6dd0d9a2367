"""What one process has in memory that decides about requests."""

from __future__ import annotations

from support.network import FE1, Network
from support.running import on_loop
from support.still_server import still_server


@on_loop
async def test_server_is_full_at_its_number_of_exchanges(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        state = server.state
        assert not state.is_full
        state.max_exchanges = state.client_transactions.load
        assert state.is_full
        assert repr(state) == f"<ServingState of {FE1}>"
