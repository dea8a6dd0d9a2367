"""A link that comes up, is refused or ends is counted, and its line of the log says whose link it was."""

from __future__ import annotations

import pytest

from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, Network
from support.peer import HungUpError
from support.running import on_loop, until


@on_loop
async def test_link_of_a_server_is_logged_at_its_begin_and_at_its_end(pool: Network) -> None:
    async with pool:
        told = pool.told[FE1]
        server = await pool.peer(FE1, "alice@example.test", credentials=EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        accepted = told.last("link accepted")
        assert EDGE in accepted["verdict"]
        await server.__aexit__()
        await until(lambda: list(told.events("link closed")))
        closed = told.last("link closed")
        assert (closed["link"], closed["peer"], closed["code"]) == (accepted["link"], EDGE, "accepted")


@on_loop
async def test_link_of_a_client_has_a_flow_and_no_line_of_the_log(home: Network) -> None:
    async with home:
        node, told = home.nodes[FE1], home.told[FE1]
        alice = await home.phone("alice", FE1)
        assert len(node.flow_table.sessions()) == 1
        await alice.__aexit__()
        await until(lambda: not node.flow_table.sessions())
        assert not [line for line in told.lines if line["event"].startswith("link ")]
        assert repr(node.dispatch.links).startswith("<LinkLifecycle <FlowTable ")


@on_loop
async def test_refused_peer_is_logged_with_its_code_and_remedies(pool: Network) -> None:
    """A peer without a certificate at the port for servers; a server of ours with its certificate is accepted there."""
    async with pool:
        told, node = pool.told[FE1], pool.nodes[FE1]
        with pytest.raises((HungUpError, OSError)):
            await (await pool.peer_at(FE1, LinkKind.SERVER)).receive()
        await until(lambda: list(told.events("link refused")))
        line = told.last("link refused")
        assert (line["code"], bool(line["remedies"])) == ("no-certificate", True)
        assert node.gatekeeper.refusals[-1].code == "no-certificate"
        twin = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        assert (await twin.ask(twin.request("OPTIONS", "sip:example.test"))).status == 200


@on_loop
async def test_link_that_is_up_is_judged_again_as_a_live_link(pool: Network) -> None:
    async with pool:
        node = pool.nodes[FE1]
        server = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        assert node.pool.rejudge(node.dispatch.links.judge_again) == []
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
