"""The sender of a request is challenged, waits after failed logins, and is served once its credentials are right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.sip.message import Request, Response
from support.carrying import credentials
from support.network import FE1, FE3, FE4, Network
from support.peer import Peer
from support.running import on_loop, until


def register(peer: Peer, challenged: Response | None = None, password: str | None = None, body: bytes = b"") -> Request:
    """A REGISTER, which answers the challenge with *password*, or with the right one."""
    shown = [] if challenged is None else [credentials(peer, challenged, password)]
    contact = ("contact", f"<sip:{peer.user}>")
    return peer.request("REGISTER", "sip:example.test", [contact, *shown], to=f"<sip:{peer.user}>")


async def wait_for_a_login(home: Network, contact: str = "") -> Peer:
    """Give a peer whose login waits, because two before it have failed; its password is right. *contact* replaces its Contact."""
    alice, node = await home.peer(FE1, "alice"), home.nodes[FE1]
    challenged = await alice.ask(register(alice))
    for _ in range(2):
        challenged = await alice.ask(register(alice, challenged, "wrong"))
    request = register(alice, challenged)
    request.replace("contact", contact or request.first("contact") or "")
    await alice.send(request)
    await until(lambda: len(node.failures.waiting) == 1)
    return alice


@on_loop
async def test_right_credentials_are_served_and_wrong_credentials_are_challenged_again(home: Network) -> None:
    async with home:
        alice = await home.peer(FE1, "alice")
        challenged = await alice.ask(register(alice))
        assert challenged.status == 401
        challenged = await alice.ask(register(alice, challenged, "wrong"))
        assert challenged.status == 401
        assert (await alice.ask(register(alice, challenged))).status == 200


@on_loop
@pytest.mark.wide
async def test_login_after_failures_is_served_at_the_end_of_its_wait(home: Network) -> None:
    async with home:
        alice = await wait_for_a_login(home)
        assert (await alice.final()).status == 200


@on_loop
async def test_impossible_request_is_refused_at_the_end_of_its_wait(home: Network) -> None:
    async with home:
        alice = await wait_for_a_login(home, "*")
        assert (await alice.final()).status == 400


@on_loop
async def test_login_is_decided_by_the_topology_in_force(home: Network) -> None:
    async with home:
        alice, current = await home.peer(FE1, "alice"), home.nodes[FE1].current
        challenged = await alice.ask(register(alice))
        current.value = replace(current.value, facts=current.value.names)  # as of management, where no user registers
        assert (await alice.ask(register(alice, challenged))).status == 403


@on_loop
async def test_user_whose_home_pool_is_gone_is_refused(two_pools: Network) -> None:
    async with two_pools:
        for name in (FE3, FE4):
            await two_pools.stop(name)
        bob = await two_pools.peer(FE1, "bob")
        assert (await bob.ask(register(bob))).status == 503


@on_loop
async def test_login_that_waits_is_refused_when_the_server_drains(home: Network) -> None:
    async with home:
        alice = await wait_for_a_login(home)
        home.nodes[FE1].core.drain()
        assert (await alice.final()).status == 503


@on_loop
async def test_user_of_another_pool_logs_in_at_the_home_pool(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        [flow] = [flow for flow in two_pools.nodes[FE1].flow_table.sessions() if flow.logins]
        assert list(flow.logins) == [f"sip:{bob.user}"]
        assert not two_pools.nodes[FE1].logins.succeeded
