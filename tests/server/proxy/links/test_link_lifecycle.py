"""A link that comes up, is refused or ends is counted, and its line of the log says whose link it was."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.heard_links import HeardLinks
from support.network import EDGE, FE1, FE2, Network
from support.peer import HungUpError
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of
from support.web_peer import WebPeer, open_websocket, upgrade, web_address


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


@on_loop
async def test_client_that_ends_without_a_login_is_recorded(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        stranger = await home.peer(FE1)
        await until(node.flow_table.sessions)
        await stranger.__aexit__()
        await until(lambda: node.gatekeeper.client_refusals.newest(9))
        assert node.gatekeeper.client_refusals.newest(9)[0].remote == "127.0.0.1"


@on_loop
async def test_websocket_of_another_origin_is_logged_and_counted(example: Organisation) -> None:
    open_websocket(example)
    network = Network((example,), starts=(FE1,))
    async with network:
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(web_address(example, FE1), "alice@example.test", upgrade(origin="https://evil.test"))
        assert network.told[FE1].last("websocket refused")["status"] == 403
        assert network.nodes[FE1].counters.upgrades == {403: 1}


@on_loop
async def test_link_is_announced_to_the_other_worker_until_it_ends(example: Organisation) -> None:
    async with pair_of(example) as pair:
        server = await pair.peer("alice", ONE, EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        await until(lambda: pair.links_elsewhere(TWO))
        await server.__aexit__()
        await until(lambda: not pair.links_elsewhere(TWO))


@on_loop
async def test_link_above_the_number_for_all_workers_together_is_closed(example: Organisation) -> None:
    async with pair_of(example) as pair:
        siblings = pair.siblings(ONE)
        server = await pair.peer("alice", ONE, EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        most = pair.nodes[ONE].reactor.limits.links_accepted_per_peer * 2
        siblings.remote.accepted[LinkKind.SERVER, EDGE] = most
        above = await pair.peer("alice", ONE, EDGE)
        with pytest.raises((HungUpError, OSError)):
            await above.receive()
        assert pair.told[ONE].last("link closed")["why"] == "too many links from this peer"


@on_loop
async def test_control_plane_gets_links_of_servers_only(pool: Network) -> None:
    async with pool:
        heard = HeardLinks()
        pool.nodes[FE1].outside.control_plane = heard.plane
        alice, server = await pool.phone("alice", FE1), await pool.peer(FE1, "alice@example.test", credentials=EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        await alice.__aexit__()
        await server.__aexit__()
        await until(lambda: heard.down)
        assert (heard.up, heard.down) == ([EDGE], [EDGE])
