"""Calls with an application or a trunk that is revoked, removed or away end at our phone; all other calls go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.calls.outsiders import AWAY_S, LOOKED_S
from sipmesh.server.running.running_server import RunningServer
from support.descriptions import SDES, SDP
from support.network import BOT, EXAMPLE, FE1, FE2, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until
from support.talking import inside_of, talking
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PBX, PROVIDER, PlayedTrunk, with_trunks

GONE = 'SIP;cause=503;text="Other side gone"'


def revoke(node: RunningServer, owner: Organisation, server: str) -> None:
    """Revoke the certificate of a server, as a push of its CA does."""
    certificate = x509.load_pem_x509_certificates(owner.credentials(server)[0].read_bytes())[0]
    node.revocation.revoke([(owner.ca.issuing.subject.public_bytes(), certificate.serial_number)])


async def hang_up(ender: Peer, other: Peer, dialog: Dialog) -> None:
    await ender.send(inside_of(dialog, ender, "BYE"))
    await other.reply(await other.request_in("BYE"), 200)
    assert (await ender.final(method="BYE")).status == 200


async def ended(phone: Peer) -> None:
    """The phone gets the BYE next."""
    bye = await phone.request_in("BYE")
    assert bye.values("reason") == [GONE]
    await phone.reply(bye, 200)


@on_loop
async def test_call_of_a_revoked_application_ends_and_others_go_on(pool: Network) -> None:
    async with pool:
        alice, bob, carol = [await pool.phone(user, FE1) for user in ("alice", "bob", "carol")]
        bot = await pool.peer(FE1, f"700@{BOT}", BOT)
        await talking(bot, alice)
        _, _, other = await talking(bob, carol)
        revoke(pool.nodes[FE1], pool.organisations[0], FE2)
        await alice.request_in("ACK")
        revoke(pool.nodes[FE1], pool.organisations[0], BOT)
        bye = await alice.request_in("BYE")
        assert bye.values("reason") == [GONE]
        await bot.hung_up()
        assert len(pool.nodes[FE1].relay.calls.table) == 1
        await carol.request_in("ACK")
        await hang_up(bob, carol, other)


@on_loop
async def test_phone_at_another_server_gets_the_bye_too(pool: Network) -> None:
    async with pool:
        alice, bot = await pool.phone("alice", FE2), await pool.peer(FE1, f"700@{BOT}", BOT)
        await talking(bot, alice)
        await alice.request_in("ACK")
        revoke(pool.nodes[FE1], pool.organisations[0], BOT)
        await ended(alice)


@on_loop
async def test_call_goes_on_while_the_application_has_a_link_that_is_trusted(pool: Network) -> None:
    """Its certificate was renewed, and the old one revoked: the calls go on by the link with the new one."""
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await pool.peer(FE1, f"700@{BOT}", BOT)
        _, _, dialog = await talking(bot, alice)
        await alice.request_in("ACK")
        example = pool.organisations[0]
        old = x509.load_pem_x509_certificates(example.credentials(BOT)[0].read_bytes())[0]
        example.issue(BOT)
        renewed = await pool.peer(FE1, f"700@{BOT}", BOT)
        pool.nodes[FE1].revocation.revoke([(example.ca.issuing.subject.public_bytes(), old.serial_number)])
        await bot.hung_up()
        await hang_up(renewed, alice, dialog)


@on_loop
async def test_call_of_an_application_that_is_removed_ends(pool: Network) -> None:
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await pool.peer(FE1, f"700@{BOT}", BOT)
        await talking(bot, alice)
        await alice.request_in("ACK")
        example = pool.organisations[0]
        pools = example.document["pools"]
        assert isinstance(pools, list)
        example.document["pools"] = [one for one in pools if one["name"] != BOT]
        example.write()
        pool.nodes[FE1].put_in_force(example.load())
        await ended(alice)


@on_jumping_loop
async def test_call_of_an_application_that_stays_away_ends_after_a_minute(pool: Network) -> None:
    """A link that is lost for a moment ends no call."""
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await pool.peer(FE1, f"700@{BOT}", BOT)
        await talking(bot, alice)
        await alice.request_in("ACK")
        node, loop = pool.nodes[FE1], asyncio.get_running_loop()
        await bot.__aexit__()
        since = loop.time()
        while len(node.relay.calls.table):
            await asyncio.sleep(1)
            node.sweep.tick()
        assert loop.time() - since >= AWAY_S
        assert (await alice.request_in("BYE")).values("reason") == [GONE]


@pytest.fixture(name="trunks")
def _trunks(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    return Network((example,), starts=(FE1, GATEWAY))


@on_loop
async def test_body_of_an_answer_is_not_kept_while_the_call_is_up(
    trunks: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """A trunk may answer with megabytes, in each call: what is kept to end the call is its header."""
    async with trunks, provider, pbx:
        alice = await trunks.phone("alice", FE1)
        await alice.send(alice.request("INVITE", f"sip:{OUTSIDE}@{EXAMPLE}"))
        trunk = await provider.links.get()
        await trunk.reply(await trunk.request_in("INVITE"), 200, [("content-type", "text/plain")], b"x" * 100_000)
        assert len((await alice.final()).body) == 100_000
        relay = trunks.nodes[GATEWAY].relay
        [known], [bounded] = relay.calls.table.with_outsider(PROVIDER), relay.calls.trunks.up()
        assert known.response is not None
        assert (known.response.body, bounded.response.body) == (b"", b"")
        revoke(trunks.nodes[GATEWAY], provider.organisation, PROVIDER)
        await ended(alice)


@on_loop
async def test_call_of_a_revoked_trunk_ends_and_that_of_another_trunk_goes_on(
    trunks: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with trunks, provider, pbx:
        alice = await trunks.phone("alice", FE1)
        trunk, other = await provider.opens(trunks), await pbx.opens(trunks)
        trunk.user = f"{OUTSIDE}@{PROVIDER}"
        other.user = f"+49895550100@{PBX}"
        alice.user = f"{ALICE}@{GATEWAYS}"
        await talking(trunk, alice)
        await alice.request_in("ACK")
        _, _, dialog = await talking(other, alice)
        await alice.request_in("ACK")
        revoke(trunks.nodes[GATEWAY], provider.organisation, PROVIDER)
        bye = await alice.request_in("BYE")
        assert bye.values("reason") == [GONE]
        await trunk.hung_up()
        assert len(trunks.nodes[GATEWAY].relay.calls.table) == 1
        await hang_up(other, alice, dialog)


async def swept(network: Network) -> None:
    """Let the gateway look at its calls."""
    await asyncio.sleep(LOOKED_S + 1)
    network.nodes[GATEWAY].sweep.tick()


@pytest.mark.parametrize("is_ours", [False, True])
@on_jumping_loop
async def test_call_of_a_trunk_that_has_closed_its_links_before_it_is_revoked_ends(
    trunks: Network, provider: PlayedTrunk, *, is_ours: bool
) -> None:
    """Also on a link that we have opened. Before, the call goes on: a trunk may close a link that is idle."""
    async with trunks, provider:
        alice = await trunks.phone("alice", FE1)
        if is_ours:
            alice.user = f"alice@{EXAMPLE}"
            await alice.send(alice.request("INVITE", f"tel:{OUTSIDE}", [("content-type", SDP)], SDES))
            trunk = await provider.links.get()
            await trunk.reply(await trunk.request_in("INVITE"), 200, [("content-type", SDP)], SDES)
            assert (await alice.final()).status == 200
        else:
            trunk = await provider.opens(trunks)
            trunk.user, alice.user = f"{OUTSIDE}@{PROVIDER}", f"{ALICE}@{GATEWAYS}"
            await talking(trunk, alice)
            await alice.request_in("ACK")
        node = trunks.nodes[GATEWAY]
        await trunk.__aexit__()
        await until(lambda: not any(flow.outsider for flow in node.flow_table.sessions()))
        await swept(trunks)
        assert len(node.relay.calls.table) == 1
        revoke(node, provider.organisation, PROVIDER)
        await swept(trunks)
        await ended(alice)
        assert not len(node.relay.calls.table)


@on_jumping_loop
async def test_call_goes_on_without_a_link_while_its_trunk_is_trusted(trunks: Network, provider: PlayedTrunk) -> None:
    """The revocation of another certificate ends nothing, and the trunk ends its call on its next link."""
    async with trunks, provider:
        alice, trunk = await trunks.phone("alice", FE1), await provider.opens(trunks)
        trunk.user, alice.user = f"{OUTSIDE}@{PROVIDER}", f"{ALICE}@{GATEWAYS}"
        _, _, dialog = await talking(trunk, alice)
        await alice.request_in("ACK")
        node = trunks.nodes[GATEWAY]
        await trunk.__aexit__()
        await until(lambda: not any(flow.outsider for flow in node.flow_table.sessions()))
        node.revocation.revoke([(provider.organisation.ca.issuing.subject.public_bytes(), 4711)])
        await swept(trunks)
        assert len(node.relay.calls.table) == 1
        again = await provider.opens(trunks)
        await hang_up(again, alice, dialog)
