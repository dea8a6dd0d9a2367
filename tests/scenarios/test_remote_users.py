"""Remote users: phones at the client port of an edge, which carries them to their home pool.

The edge knows the front ends of the first pool only. alice is at home there; bob is at home in the second pool.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from support.network import (
    EDGE,
    EDGES,
    FE1,
    FE3,
    FE4,
    PARTNER_FE,
    Network,
    hung_up_by_the_other,
    inside,
    ringing,
    text,
)
from support.openid_provider import OpenIdProvider
from support.peer import Peer
from support.running import on_loop, until
from support.talking import call_is_taken_back, inside_of, talking
from support.tiers import wide_after
from support.user_changes import change_bob
from support.web_peer import WebPeer, open_websocket, web_address
from transport.authority import Authority

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def bindings(network: Network) -> int:
    """How many bindings there are on links of all servers."""
    return sum(node.registrations.count() for node in network.nodes.values())


@pytest.mark.parametrize("user", ["alice", "bob"])
@pytest.mark.parametrize(
    ("other", "there"), wide_after(2, [("dora", FE4), ("carol", FE1), ("dora", EDGE), ("erin", PARTNER_FE)])
)
@on_loop
async def test_messages_and_calls_pass_in_both_directions(remote: Network, user: str, other: str, there: str) -> None:
    """From the edge to one pool and to the pool behind it; with users inside, with one beside it at the edge, with partners."""
    async with remote:
        first, second = await remote.agent(user, EDGE), await remote.agent(other, there)
        for caller, callee in ((first, second), (second, first)):
            assert (await caller.message(callee.party.aor, "hello")).ok
            came = await text(callee)
            assert (came.text, came.sender, came.identity) == ("hello", caller.party.aor, caller.party.aor)
            made = await caller.call(callee.party.aor)
            rang = await ringing(callee)
            assert (await made.answered()).status == 200
            for call in (made, rang):
                for method in ("INVITE", "UPDATE", "INFO"):
                    assert (await inside(call, method)).status == 200, (call, method)
            assert await hung_up_by_the_other(rang, made)


@pytest.mark.parametrize("user", ["alice", "bob"])
@on_loop
async def test_page_at_an_edge_is_carried_over_websocket(remote: Network, user: str) -> None:
    open_websocket(remote.organisations[0])
    async with remote:
        page = await remote._stack.enter_async_context(
            await WebPeer.dial(web_address(remote.of(EDGE), EDGE), f"{user}@example.test")
        )
        assert (await page.register()).status == 200
        dora = await remote.phone("dora", FE3)
        for caller, callee in ((page, dora), (dora, page)):
            _, _, dialog = await talking(caller, callee)
            await callee.request_in("ACK")
            await caller.send(inside_of(dialog, caller, "BYE"))
            await callee.reply(await callee.request_in("BYE"), 200)
            assert (await caller.final()).status == 200


@on_loop
async def test_edge_presents_a_certificate_of_a_public_ca_by_sni(remote: Network, tmp_path: Path) -> None:
    public = Authority.create(tmp_path / "public", "Public CA")
    public.issue(EDGES, file="first")
    pools = remote.organisations[0].document["pools"]
    assert isinstance(pools, list)
    edge = next(one for one in pools if one["name"] == EDGES)["servers"][0]
    edge["client_certificates"] = [
        {"certificate": str(public.folder / "first.pem"), "key": str(public.folder / "first.key")}
    ]
    remote.organisations[0].write()
    async with remote:
        theirs = public.root.public_bytes(Encoding.PEM).decode()
        ours = remote.organisations[0].root.read_text()
        for name, anchor, is_trusted in ((EDGES, theirs, True), (EDGES, ours, False), (EDGE, ours, True)):
            assert await trusts(remote.address(EDGE), name, anchor) is is_trusted


async def trusts(address: tuple[str, int], name: str, anchor: str) -> bool:
    """Tell whether a client that knows *anchor* alone (PEM) accepts the server at *address* as *name*."""
    context = ssl.create_default_context(cadata=anchor)
    try:
        _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError:
        return False
    writer.transport.abort()
    return True


@on_loop
async def test_call_of_a_remote_user_can_be_taken_back(remote: Network) -> None:
    async with remote:
        await call_is_taken_back(await remote.phone("bob", EDGE), await remote.phone("dora", FE3))


@pytest.mark.parametrize("user", ["alice", "bob"])
@on_loop
async def test_refresh_is_not_challenged_and_the_path_leads_to_the_edge(remote: Network, user: str) -> None:
    async with remote:
        phone = await remote.phone(user, EDGE)
        again = phone.request("REGISTER", "sip:example.test", [("supported", "path")], to=f"<sip:{user}@example.test>")
        given = await phone.ask(again)
        assert given.status == 200
        assert given.values("service-route") == ["<sip:example.test;transport=tls;lr>"]
        assert all(f"@{server}:" in given.values("path")[0] for server in ([EDGE] if user == "alice" else []))


@pytest.mark.parametrize("user", ["alice", "bob"])
@on_loop
async def test_registration_ends_with_the_link_at_each_server(remote: Network, user: str) -> None:
    async with remote:
        async with await Peer.open(remote.address(EDGE), f"{user}@example.test") as phone:
            assert (await phone.register()).status == 200
            assert bindings(remote) == 1
        await until(lambda: not bindings(remote))
        assert [len(node.home_flows) for node in remote.nodes.values()] == [0] * len(remote.nodes)


@pytest.mark.parametrize("change", ["password", "remove", "move"])
@on_loop
async def test_changed_user_is_cut_off_at_the_edge(remote: Network, change: str) -> None:
    async with remote:
        bob, alice = await remote.phone("bob", EDGE), await remote.phone("alice", EDGE)
        await change_bob(remote, change)
        await bob.hung_up()
        await until(lambda: bindings(remote) == 1)
        await alice.silent()


@on_loop
async def test_remote_users_end_with_the_topology_that_has_none(remote: Network) -> None:
    async with remote:
        alice = await remote.phone("alice", EDGE)
        organisation = remote.organisations[0]
        pools = organisation.document["pools"]
        assert isinstance(pools, list)
        pool = next(one for one in pools if one["name"] == EDGES)
        pool["remote_users"] = False
        del pool["servers"][0]["ports"]["client"]
        organisation.write()
        for name in (FE1, "fe2.example.test"):
            remote.nodes[name].put_in_force(organisation.load())
        await alice.hung_up()
        await until(lambda: not bindings(remote))


@on_loop
async def test_loss_of_the_pool_behind_the_edge_closes_its_remote_users(remote: Network) -> None:
    async with remote:
        bob = await remote.phone("bob", EDGE)
        for name in (FE1, "fe2.example.test"):
            await remote.stop(name)
        await bob.hung_up()
        await until(lambda: not bindings(remote))


@pytest.mark.wide
@pytest.mark.parametrize("user", ["alice", "bob"])
@on_loop
async def test_access_token_is_judged_by_the_home_pool_and_its_end_closes_the_link_at_the_edge(
    remote: Network, tmp_path: Path, user: str
) -> None:
    """Alice is at home behind the edge, and bob in the second pool. The token counts on this link alone."""
    organisation = remote.organisations[0]
    async with OpenIdProvider(organisation.folder / "ca", tmp_path) as provider:
        organisation.document["oauth"] = provider.oauth()
        organisation.write()
        async with remote:
            address = f"{user}@example.test"
            phone, thief = [
                await remote._stack.enter_async_context(await Peer.open(remote.address(EDGE), address))
                for _ in range(2)
            ]
            challenged = await phone.ask(phone._register(()))
            assert f'authz_server="{provider.issuer}"' in challenged.values("www-authenticate")[-1]
            assert (await phone.register_by(provider.access_token(address, aud="mail"))).status == 401
            token = provider.access_token(address, lifetime_s=10)
            assert (await phone.register_by(token)).status == 200
            assert (await thief.register_by(token)).status == 403
            await phone.hung_up()
            await until(lambda: not bindings(remote))
            assert (await thief.register_by(provider.access_token(address))).status == 200
