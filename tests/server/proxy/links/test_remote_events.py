"""One worker knows the links of the other worker: their logins, the flows that they carry, and their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.proxy.events.test_notifier import BUSY, publish
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.siblings.remote_link import NOT_HERE
from sipmesh.server.running.running_server import RunningServer
from sipmesh.trust.evidence import LinkKind
from support.carrying import logged_in, path_of
from support.heard_links import HeardLinks
from support.network import EDGE, FE1, FE2, FE3, Network, copied
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of

ALICE = "sip:alice@example.test"


def elsewhere(node: RunningServer) -> list[str]:
    """The users who have logged in on links of the other worker."""
    return [user for flow in node.flow_table.sessions() if not flow.link.is_here for user in flow.users]


@on_loop
async def test_login_at_one_worker_is_known_at_the_other_until_its_link_closes(example: Organisation) -> None:
    async with pair_of(example) as pair:
        other = pair.nodes[TWO]
        alice = await pair.phone("alice", ONE)
        await until(lambda: elsewhere(other) == [ALICE])
        await alice.__aexit__()
        await until(lambda: not other.flow_table.sessions())


@on_loop
async def test_link_of_a_server_is_known_at_the_other_worker(example: Organisation) -> None:
    async with pair_of(example) as pair:
        server = await pair.peer("alice", ONE, EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        await until(lambda: [link.peer_name for link in pair.links_elsewhere(TWO)] == [EDGE])


@pytest.mark.parametrize("worker", [ONE, TWO])
@on_loop
async def test_request_of_another_server_is_served_by_the_worker_that_is_the_notifier(
    example: Organisation, worker: int
) -> None:
    """Also if the link of that server is at the other worker: the request counts for the server, and not for none."""
    async with pair_of(example) as pair:
        server = await pair.peer("bob", worker, FE2)
        asserted = ("p-asserted-identity", "<sip:bob@example.test>")
        published = publish(server, BUSY, asserted)
        assert (await server.ask(published)).status == 200
        [chosen] = [node for node in pair.nodes.values() if node.events.notifier.publications]
        assert chosen.accounts.refused.total() == 0


def way_to(node: RunningServer, server: str) -> Flow:
    """The flow by which a worker reaches a server."""
    flow = node.flow_table.find(Start(0, ServerTarget((server,), LinkKind.SERVER, "sip:x@example.test"), server))
    assert flow is not None
    return flow


async def linked_server(pair: Pair, name: str) -> Peer:
    """A server with a link to the first worker, of which the second one knows."""
    server = await pair.peer("bob", ONE, name)
    assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
    await until(lambda: pair.links_elsewhere(TWO))
    return server


@on_loop
async def test_server_that_has_to_open_its_links_is_reached_from_the_other_worker(
    two_pools_model: Organisation, tmp_path: Path
) -> None:
    """An edge opens links to its next hop only. A call of another pool has come in on a link that one worker has."""
    async with pair_of(copied(two_pools_model, tmp_path / "e"), EDGE) as pair:
        server = await linked_server(pair, FE3)
        flow = way_to(pair.nodes[TWO], FE3)
        assert (flow.link.peer_name, flow.link.is_here) == (FE3, False)
        assert flow.link.send(server.request("OPTIONS", "sip:bob@example.test").encode())
        await server.request_in("OPTIONS")
        own = await pair.peer("bob", TWO, FE3)
        assert (await own.ask(own.request("OPTIONS", "sip:example.test"))).status == 200
        assert way_to(pair.nodes[TWO], FE3).link.is_here
        await own.__aexit__()
        await server.__aexit__()
        await until(lambda: not pair.links_elsewhere(TWO))
        await until(lambda: not way_to(pair.nodes[TWO], FE3).link.usable)  # it is dialled, and the judge refuses it


@on_loop
async def test_server_to_which_each_worker_may_open_a_link_is_reached_by_a_link_of_its_own(
    two_pools_model: Organisation, tmp_path: Path
) -> None:
    async with pair_of(copied(two_pools_model, tmp_path / "e"), EDGE) as pair:
        await linked_server(pair, FE1)
        assert way_to(pair.nodes[TWO], FE1).link.is_here


@on_loop
async def test_control_plane_gets_a_server_at_the_other_worker(example: Organisation) -> None:
    async with pair_of(example) as pair:
        heard = HeardLinks()
        pair.nodes[TWO].outside.control_plane = heard.plane
        alice, server = await pair.phone("alice", ONE), await pair.peer("alice", ONE, EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        await until(lambda: heard.up)
        await alice.__aexit__()
        await server.__aexit__()
        await until(lambda: heard.down)
        assert (heard.up, heard.down) == ([EDGE], [EDGE])


@on_loop
async def test_login_at_another_pool_is_counted_and_proves_nothing(example: Organisation) -> None:
    async with pair_of(example) as pair:
        other = pair.nodes[TWO]
        await pair.phone("alice", ONE)
        await until(lambda: elsewhere(other) == [ALICE])
        [link] = pair.links_elsewhere(TWO)
        pair.reception(TWO)._elsewhere.remote_login(link, "sip:bob@example.test", NOT_HERE)
        assert elsewhere(other) == [ALICE]
        assert other.accounts.of_users.count("sip:bob@example.test") == 1


@on_loop
async def test_flow_whose_carrier_is_not_known_is_forgotten(example: Organisation) -> None:
    async with pair_of(example) as pair:
        other = pair.nodes[TWO]
        await pair.phone("alice", ONE)
        await until(lambda: elsewhere(other) == [ALICE])
        [link] = pair.links_elsewhere(TWO)
        link.carrier = 1 << 40
        pair.reception(TWO)._elsewhere.remote_up(link)
        assert not other.flow_table.sessions()


@on_loop
async def test_carried_flow_of_the_other_worker_ends_with_the_link_that_carries_it(two_pools: Network) -> None:
    async with pair_of(two_pools.organisations[0]) as pair:
        carrier, other = await pair.peer("alice", ONE, FE3), pair.nodes[TWO]
        await logged_in(carrier, path_of(FE3))
        await until(lambda: elsewhere(other) == [ALICE])
        assert [flow.carrier is not None for flow in other.flow_table.sessions() if flow.users] == [True]
        await carrier.__aexit__()
        await until(lambda: not other.flow_table.sessions())
