"""The link of a target: a flow only for its owner, and servers and partners by their names."""

from __future__ import annotations

import pytest

from routing.messages import row
from sipmesh.errors import LocalError
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target
from sipmesh.server.in_force.roles import PARTNER_SERVICE
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.flow_table import FlowTable
from sipmesh.server.proxy.outside import Outside
from sipmesh.server.running.running_server import RunningServer
from sipmesh.trust.evidence import LinkKind
from support.in_force import current_of
from support.network import BOT, EDGE, EDGES, FE1, FE2, PARTNER, PARTNER_EDGES, POOL, Network
from support.running import on_loop, until

ALICE, BOB, URI = "sip:alice@example.test", "sip:bob@example.test", "sip:alice@192.0.2.9"


def found(node: RunningServer, target: Target, name: str = "") -> Flow | None:
    return node.flow_table.find(Start(0, target, name))


async def flow_of(node: RunningServer, user: str) -> Flow:
    """Return the flow of a user, once it exists."""
    await until(lambda: [one for one in node.flow_table.sessions() if user in one.users])
    return next(one for one in node.flow_table.sessions() if user in one.users)


@on_loop
async def test_flow_is_found_only_for_its_owner(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        node = home.nodes[FE1]
        flow = await flow_of(node, ALICE)
        assert found(node, FlowTarget(flow.number, owner_hash(ALICE), URI)) is flow
        assert found(node, FlowTarget(flow.number, owner_hash(BOB), URI)) is None
        assert found(node, FlowTarget(flow.number + 1, owner_hash(ALICE), URI)) is None


@on_loop
async def test_dialog_is_found_on_the_new_link_of_its_user(home: Network) -> None:
    """A registration is not found there: it belongs to its link."""
    async with home:
        await home.phone("alice", FE1)
        node = home.nodes[FE1]
        flow = await flow_of(node, ALICE)
        gone = flow.number + 1
        assert found(node, FlowTarget(gone, owner_hash(ALICE), URI, found=Found.DIALOG)) is flow
        assert found(node, FlowTarget(gone, owner_hash(ALICE), URI, found=Found.TOKEN)) is None
        node.flow_table.forget(flow)
        assert found(node, FlowTarget(gone, owner_hash(ALICE), URI, found=Found.DIALOG)) is None


@on_loop
async def test_only_our_own_servers_are_found_by_name(pool: Network) -> None:
    async with pool:
        node = pool.nodes[FE1]
        flow = found(node, ServerTarget((FE2,), LinkKind.SERVER, BOB), FE2)
        assert flow is not None
        assert (flow.link.meant, flow.link.kind) == (FE2, LinkKind.SERVER)
        assert found(node, RemoteFlowTarget(row(server=FE2), BOB)) is flow
        assert found(node, ServerTarget(("fe9.example.test",), LinkKind.SERVER, BOB), "fe9.example.test") is None
        assert node.flow_table.side_name(flow.link) == POOL
        assert node.flow_table.domains_of(flow) == {"example.test", BOT}
        await until(lambda: flow.sender)
        assert node.flow_table.domains_of(flow) == {"example.test", BOT}
        node.flow_table.judged_anew()
        assert flow in node.flow_table.sessions()


@on_loop
async def test_partner_is_reached_by_its_edge_or_looked_up_by_its_domain(federation: Network) -> None:
    federation.starts = (EDGE,)
    async with federation:
        node = federation.nodes[EDGE]
        flow = found(node, ServerTarget((PARTNER,), LinkKind.PARTNER, BOB), PARTNER)
        assert flow is not None
        assert flow.link.meant == PARTNER_EDGES
        assert (node.flow_table.side_name(flow.link), node.flow_table.domains_of(flow)) == (
            PARTNER_EDGES,
            frozenset({PARTNER}),
        )
        assert found(node, ServerTarget(("evil.test",), LinkKind.PARTNER, BOB), "evil.test") is None


@on_loop
async def test_client_asserts_no_domain(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        node = home.nodes[FE1]
        assert node.flow_table.domains_of(await flow_of(node, ALICE)) == frozenset()


def test_link_cannot_be_opened_before_there_is_a_pool_of_links(federation: Network) -> None:
    table = FlowTable(current_of(federation.of(FE1).load(), FE1), 7, Outside())
    with pytest.raises(LocalError, match=FE2):
        table.find(Start(0, ServerTarget((FE2,), LinkKind.SERVER, BOB), FE2))
    assert (table.pool_of(EDGE), table.pool_of("nobody.test")) == (EDGES, "nobody.test")
    assert PARTNER_SERVICE == "sipfederationtls"
