"""Who has sent a request: proved by a login, or asserted by a peer."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.records.known_caller import known_caller
from support.network import BOT, FE1, FE2, Network
from support.running import on_loop


@pytest.mark.parametrize("identity", [None, "sip:alice@example.test", "sip:bob@example.test"])
@on_loop
async def test_login_counts_and_no_assertion_beside_it(home: Network, identity: str | None) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        flow = home.nodes[FE1].flow_table.sessions()[-1]
        request = alice.request("INVITE", "sip:bob@example.test")
        assert known_caller(flow, request, identity, heard=True) == ("sip:alice@example.test", "login")


@pytest.mark.parametrize(("server", "known"), [(BOT, ("robot@example.test", f"application {BOT}")), (FE2, None)])
@on_loop
async def test_application_is_quoted_and_a_front_end_makes_its_own_records(
    home: Network, server: str, known: tuple[str, str] | None
) -> None:
    async with home:
        peer = await home.peer(FE1, "robot", credentials=server)
        await peer.ask(peer.request("OPTIONS", f"sip:{FE1}"))
        flow = home.nodes[FE1].flow_table.sessions()[-1]
        assert known_caller(flow, peer.request("INVITE", "sip:bob@example.test"), None, heard=False) == known


@on_loop
async def test_client_without_a_login_is_not_known(home: Network) -> None:
    async with home:
        peer = await home.peer(FE1, "alice")
        await peer.ask(peer.request("OPTIONS", f"sip:{FE1}"))
        flow = home.nodes[FE1].flow_table.sessions()[-1]
        assert known_caller(flow, peer.request("INVITE", "sip:bob@example.test"), None, heard=False) is None
