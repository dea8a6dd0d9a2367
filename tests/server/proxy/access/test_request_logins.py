"""The sender of a request is challenged, waits after failed logins, and is served once its credentials are right."""

from __future__ import annotations

from sipmesh.sip.message import Request, Response
from support.carrying import credentials
from support.network import FE1, Network
from support.peer import Peer
from support.running import on_loop, until


def register(peer: Peer, challenged: Response | None = None, password: str | None = None) -> Request:
    """A REGISTER, which answers the challenge with *password*, or with the right one."""
    shown = [] if challenged is None else [credentials(peer, challenged, password)]
    contact = ("contact", f"<sip:{peer.user}>")
    return peer.request("REGISTER", "sip:example.test", [contact, *shown], to=f"<sip:{peer.user}>")


async def wait_for_a_login(home: Network) -> Peer:
    """Give a peer whose login waits, because two before it have failed; the password of this one is right."""
    alice, node = await home.peer(FE1, "alice"), home.nodes[FE1]
    challenged = await alice.ask(register(alice))
    for _ in range(2):
        challenged = await alice.ask(register(alice, challenged, "wrong"))
    await alice.send(register(alice, challenged))
    await until(lambda: len(node.failures.waiting) == 1)
    return alice


@on_loop
async def test_right_credentials_are_served_and_wrong_ones_are_challenged_again(home: Network) -> None:
    async with home:
        alice = await home.peer(FE1, "alice")
        challenged = await alice.ask(register(alice))
        assert challenged.status == 401
        challenged = await alice.ask(register(alice, challenged, "wrong"))
        assert challenged.status == 401
        assert (await alice.ask(register(alice, challenged))).status == 200
        assert repr(home.nodes[FE1].dispatch._request_logins).startswith("<RequestLogins <LoginWaits ")


@on_loop
async def test_login_after_failures_is_served_at_the_end_of_its_wait(home: Network) -> None:
    async with home:
        alice = await wait_for_a_login(home)
        assert (await alice.final()).status == 200


@on_loop
async def test_login_that_waits_is_refused_when_the_server_drains(home: Network) -> None:
    async with home:
        alice = await wait_for_a_login(home)
        home.nodes[FE1].dispatch.drain()
        assert (await alice.final()).status == 503


@on_loop
async def test_user_of_another_pool_logs_in_at_the_home_pool(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        [flow] = [flow for flow in two_pools.nodes[FE1].flow_table.sessions() if flow.logins]
        assert list(flow.logins) == [f"sip:{bob.user}"]
        assert not two_pools.nodes[FE1].logins.succeeded
