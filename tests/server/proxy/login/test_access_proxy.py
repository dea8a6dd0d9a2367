"""The end of a carried flow that has the link of the client."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request
from sipmesh.cli.versions import built
from sipmesh.routing.identity.dialog_token import PathToken
from sipmesh.routing.outcome import Answer
from sipmesh.server.proxy.login.access_proxy import NO_HOME, keep_credentials
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE3, FE4, POOL2, Network
from support.peer import HungUpError
from support.running import on_loop, until

BOB, ALICE = "sip:bob@example.test", "sip:alice@example.test"


@on_loop
async def test_user_of_another_pool_is_sent_to_its_home_pool(two_pools: Network) -> None:
    async with two_pools:
        bob, node = await two_pools.phone("bob", FE1), two_pools.nodes[FE1]
        [flow] = [flow for flow in node.flow_table.sessions() if flow.logins]
        login = flow.logins[BOB]
        assert (login.home, login.server in {FE3, FE4}) == (POOL2, True)
        assert (node.access.home_of(flow, BOB), node.access.home_of(flow, ALICE)) == (POOL2, "")
        again = bob.request("REGISTER", "sip:example.test", to=f"<{BOB}>")
        assert (await bob.ask(again)).status == 200


@on_loop
async def test_unknown_name_has_always_the_same_pool(two_pools: Network) -> None:
    """So the time of an answer does not tell whether a user exists."""
    async with two_pools:
        access = two_pools.nodes[FE1].access
        names = [f"sip:nobody{number}@example.test" for number in range(20)]
        pools = [access.pool_for(name) for name in names]
        assert pools == [access.pool_for(name) for name in names]
        assert set(pools) == {"", POOL2}


@on_loop
async def test_wrong_password_counts_where_the_link_is(two_pools: Network) -> None:
    async with two_pools:
        bob, node = await two_pools.peer(FE1, "bob"), two_pools.nodes[FE1]
        assert (await bob.register(password="wrong")).status == 401
        assert sum(node.logins.failed.values()) == 1


@on_loop
async def test_link_of_the_client_closes_with_the_link_to_its_home_pool(two_pools: Network) -> None:
    """What the home pool knows of the client has ended with that link; the client logs in again."""
    async with two_pools:
        bob, node = await two_pools.phone("bob", FE1), two_pools.nodes[FE1]
        [flow] = [flow for flow in node.flow_table.sessions() if flow.logins]
        upstream = node.flow_table.by_number(flow.logins[BOB].flow)
        assert upstream is not None
        upstream.link.close("test")
        with pytest.raises(HungUpError):
            await bob.final()


@on_loop
async def test_home_pool_learns_of_a_client_that_has_gone(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        await bob.__aexit__()
        homes = [two_pools.nodes[name] for name in (FE3, FE4)]
        await until(lambda: not any(node.registrations.count() for node in homes))


@on_loop
async def test_home_pool_ends_the_link_of_a_client(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        [link] = [link for name in (FE3, FE4) for link in two_pools.nodes[name].home_flows.links()]
        link.close("its password has changed")
        with pytest.raises(HungUpError):
            await bob.final()


@on_loop
async def test_only_the_home_pool_of_the_user_ends_a_carried_flow(two_pools: Network) -> None:
    async with two_pools:
        await two_pools.phone("bob", FE1)
        node = two_pools.nodes[FE1]
        [flow] = [flow for flow in node.flow_table.sessions() if flow.logins]
        login = flow.logins[BOB]
        token, upstream = node.tokens.read(login.path), node.flow_table.by_number(login.flow)
        assert isinstance(token, PathToken)
        assert upstream is not None
        refused = node.access.ended(flow, token)
        assert isinstance(refused, Answer)
        assert refused.status == 403
        assert node.access.ended(upstream, token) is flow


@on_loop
async def test_stale_nonce_is_no_failed_login(two_pools: Network) -> None:
    """The home pool asks again; nothing is counted for the client."""
    async with two_pools:
        bob, node = await two_pools.peer(FE1, "bob"), two_pools.nodes[FE1]
        asked = bob.request("REGISTER", "sip:example.test", to=f"<{BOB}>")
        assert (await bob.ask(asked)).status == 401
        assert sum(node.logins.failed.values()) == 0
        assert (await bob.register()).status == 200


@on_loop
async def test_login_without_a_server_of_the_home_pool_gets_503(two_pools: Network) -> None:
    async with two_pools:
        for name in (FE3, FE4):
            await two_pools.stop(name)
        bob = await two_pools.peer(FE1, "bob")
        assert (await bob.register()).status == 503


def test_only_what_the_home_pool_checks_goes_on() -> None:
    """Digest credentials for the realm of the user, and access tokens."""
    ours, other = 'Digest username="bob", realm="example.test"', 'Digest username="bob", realm="partner.test"'
    asked = request(
        "REGISTER",
        "sip:example.test",
        ("authorization", ours),
        ("authorization", other),
        ("authorization", "Bearer token"),
        ("authorization", "Basic YTpi"),
        ("authorization", "Digest ="),
        ("proxy-authorization", ours),
        ("user-agent", "phone"),
    )
    keep_credentials(asked, "example.test")
    assert asked.values("authorization") == [ours, "Bearer token"]
    assert not asked.has("proxy-authorization")
    assert asked.has("user-agent")


@pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")
@on_loop
async def test_client_whose_login_the_home_pool_does_not_know_any_more_logs_in_again(two_pools: Network) -> None:
    """430 on the link to the home pool closes the link of the client; the 430 of a phone closes nothing."""
    async with two_pools:
        bob, node = await two_pools.phone("bob", FE1), two_pools.nodes[FE1]
        [flow] = [flow for flow in node.flow_table.sessions() if flow.logins]
        upstream: Any = node.flow_table.by_number(flow.logins[BOB].flow)
        sent: Any = SimpleNamespace(flow=flow, proxied=SimpleNamespace(flow=flow))
        node.access.flow_failed(sent)
        assert flow.link.usable
        sent.flow = upstream
        node.access.flow_failed(sent)
        with pytest.raises(HungUpError):
            await bob.final()


@pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")
@on_loop
async def test_pool_without_servers_is_answered_503_and_our_own_users_are_never_too_early(two_pools: Network) -> None:
    async with two_pools:
        await two_pools.phone("alice", FE1)
        access = two_pools.nodes[FE1].access
        [flow] = [flow for flow in two_pools.nodes[FE1].flow_table.sessions() if flow.link.kind is LinkKind.CLIENT]
        assert access.carried(flow, request("REGISTER"), BOB, "pool9.example.test") == NO_HOME
        assert not access.is_too_early(flow, BOB)
        assert not access.is_too_early(flow, ALICE)
