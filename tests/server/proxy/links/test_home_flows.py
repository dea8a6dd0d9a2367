"""The flows of our users that other servers carry. What a stolen server cannot do is in `attacks/test_carried_logins`."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.trust.evidence import LinkKind
from support.carrying import carrier, logged_in, path_of, registration
from support.network import FE1, FE3, Network
from support.running import on_loop, until

END = ("reason", 'SIP;cause=430;text="Flow Failed"')


@on_loop
async def test_flow_with_a_login_is_kept_until_its_client_has_gone(two_pools: Network) -> None:
    async with two_pools:
        flows = two_pools.nodes[FE3].home_flows
        peer, path = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1)
        assert (await peer.ask(registration(peer, path))).status == 401
        assert len(flows) == 0
        route = await logged_in(peer, path)
        [link] = flows.links()
        assert (link.kind, len(flows)) == (LinkKind.CLIENT, 1)
        assert (await peer.ask(registration(peer, path, [("route", route)]))).status == 200
        ended = peer.request("REGISTER", f"sip:{FE3}", [("route", route), END])
        assert (await peer.ask(ended)).status == 200
        assert len(flows) == 0
        assert (await peer.ask(registration(peer, path, [("route", route)]))).status == 430


@on_loop
async def test_path_of_another_server_or_of_another_flow_is_refused(two_pools: Network) -> None:
    async with two_pools:
        peer, path = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1)
        assert (await peer.ask(registration(peer, "<sip:x@fe9.example.test;lr>"))).status == 400
        assert (await peer.ask(registration(peer, f"<sip:{'x' * 600}@{FE1};lr>"))).status == 400
        route = await logged_in(peer, path)
        assert (await peer.ask(registration(peer, path_of(FE1), [("route", route)]))).status == 403


@on_loop
async def test_limit_of_one_server_refuses_the_next_login(two_pools: Network) -> None:
    async with two_pools:
        two_pools.nodes[FE3].home_flows.most_of_server = 1
        first, second = await carrier(two_pools, FE3, FE1, "bob"), await carrier(two_pools, FE3, FE1, "dora")
        assert await logged_in(first, path_of(FE1))
        assert (await second.ask(registration(second, path_of(FE1)))).status == 503


@on_loop
async def test_flows_of_a_server_that_may_no_longer_carry_end(two_pools: Network) -> None:
    async with two_pools:
        flows, current = two_pools.nodes[FE3].home_flows, two_pools.nodes[FE3].current
        peer = await carrier(two_pools, FE3, FE1, "bob")
        assert await logged_in(peer, path_of(FE1))
        flows.end_uncarried()
        assert len(flows) == 1
        current.value = replace(current.value, carriers=frozenset())
        flows.end_uncarried()
        assert len(flows) == 0
        told = await peer.request_in("REGISTER")
        assert told.values("reason") == [END[1]]


@on_loop
async def test_flows_end_with_the_link_that_carries_them(two_pools: Network) -> None:
    async with two_pools:
        flows = two_pools.nodes[FE3].home_flows
        peer = await carrier(two_pools, FE3, FE1, "bob")
        assert await logged_in(peer, path_of(FE1))
        await peer.__aexit__()
        await until(lambda: not len(flows))
        assert two_pools.nodes[FE3].registrations.count() == 0
