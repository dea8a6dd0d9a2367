"""A registered Contact as an address: phones without GRUU transfer calls to one, and no request is relayed to an address."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.storage.users.user_database import Users
from support.bindings import until_bound
from support.network import BOT, FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking


def contact_of(peer: Peer) -> str:
    """The URI in the Contact of a phone."""
    return peer.contact.partition("<")[2].partition(">")[0]


async def told(sender: Peer, uri: str) -> int:
    return (await sender.ask(sender.request("MESSAGE", uri))).status


async def reached(sender: Peer, uri: str, receiver: Peer) -> None:
    """Send a MESSAGE to *uri*, which arrives at *receiver* with the identity of its sender."""
    await sender.send(sender.request("MESSAGE", uri))
    came = await receiver.request_in("MESSAGE")
    assert came.uri == contact_of(receiver)
    assert came.values("p-asserted-identity") == [f"<sip:{sender.user}>"]
    await receiver.reply(came, 200)
    assert (await sender.final()).status == 200


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_attended_transfer_to_a_contact_reaches_that_phone(pool: Network, server: str) -> None:
    """The transferee sends the INVITE with Replaces to the Contact of the target, as linphone's Refer-To says."""
    async with pool:
        alice, bob, carol = (
            await pool.phone("alice", FE1),
            await pool.phone("bob", FE1),
            await pool.phone("carol", server),
        )
        came, tag, with_carol = await talking(alice, carol)
        await carol.request_in("ACK")
        other = await pool.phone("carol", FE1)
        replaces = f"{came.call_id};to-tag={tag};from-tag={alice.tag}"
        target = f"{with_carol.target};ob"  # phones add parameters to the Contact that they have registered
        await bob.send(bob.request("INVITE", target, [("replaces", replaces)]))
        taken = await carol.request_in("INVITE")
        assert (taken.uri, taken.values("replaces")) == (contact_of(carol), [replaces])
        await carol.reply(taken, 200)
        assert (await bob.final(method="INVITE")).status == 200
        await other.silent()
        await alice.send(inside_of(with_carol, alice, "BYE"))
        await carol.reply(await carol.request_in("BYE"), 200)


@on_loop
async def test_contact_that_no_user_has_registered_leads_nowhere(pool: Network) -> None:
    """A socket listens at the address, and no server connects. Control: the same Contact while it is registered."""
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.peer(FE2, "carol")
        asked: list[object] = []
        port = free_port()
        listener = await asyncio.start_server(lambda reader, _: asked.append(reader), HOST, port)
        carol.contact = f"<sip:carol@{HOST}:{port};transport=tls>"
        assert await told(alice, contact_of(carol)) == 404
        assert (await carol.register()).status == 200
        await reached(alice, contact_of(carol), carol)
        await reached(alice, f"sip:carol@{HOST}:{port + 1}", carol)  # baresip writes another port in calls
        for uri in (f"sip:carol@127.0.0.9:{port}", f"sip:x@{HOST}:{port}", f"sip:{HOST}:{port}"):
            assert await told(alice, uri) == 404
        await carol.__aexit__()
        await until_bound(pool.nodes[FE2], "sip:carol@example.test", 0)
        assert await told(alice, contact_of(carol)) == 404
        assert not asked
        listener.close()


@on_loop
async def test_only_a_user_who_has_logged_in_may_address_a_contact(federation: Network) -> None:
    """Control: alice. A partner and an application reach users by their addresses only."""
    async with federation:
        carol = await federation.phone("carol", FE1)
        stranger = await federation.peer(FE1, "alice")
        assert await told(stranger, contact_of(carol)) == 407
        assert await told(await federation.phone("erin", PARTNER_FE), contact_of(carol)) == 404
        bot = await federation.peer(FE1, "bot", BOT)
        bot.user = f"room@{BOT}"
        assert await told(bot, contact_of(carol)) in {403, 404}
        await carol.silent()
        await reached(await federation.phone("alice", FE2), contact_of(carol), carol)


@on_loop
async def test_contact_that_names_another_place_takes_nothing_from_it(federation: Network) -> None:
    """A user may register any Contact: of a partner's user, of a user of ours, of a server."""
    async with federation:
        alice, mallory = await federation.phone("alice", FE1), await federation.peer(FE1, "carol")
        erin, bob = await federation.phone("erin", PARTNER_FE), await federation.phone("bob", FE1)
        for uri in ("sip:erin@partner.test", "sip:bob@example.test", f"sip:x@{FE2}:5061", f"sip:x@{BOT}"):
            mallory.contact = f"<{uri}>"
            assert (await mallory.register()).status == 200
        for uri, rightful in (("sip:erin@partner.test", erin), ("sip:bob@example.test", bob)):
            await alice.send(alice.request("MESSAGE", uri))
            await rightful.reply(await rightful.request_in("MESSAGE"), 200)
            assert (await alice.final()).status == 200
        for uri in (f"sip:x@{FE2}:5061", f"sip:x@{BOT}"):
            assert await told(alice, uri) in {404, 480, 503}
        await mallory.silent()


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_user_gets_no_transfer_by_registering_the_contact_of_another(pool: Network, server: str) -> None:
    """Wherever the two are logged in, and whether the other is registered or not. Control: the user whose name it has."""
    async with pool:
        alice, mallory = await pool.phone("alice", FE1), await pool.peer(FE1, "carol")
        bob = await pool.peer(server, "bob")
        bob.contact = "<sip:bob-0x5559ac167f70@192.0.2.7:5070;transport=tls>"
        mallory.contact = bob.contact
        assert (await mallory.register()).status == 200
        assert await told(alice, contact_of(bob)) == 404
        assert (await bob.register()).status == 200
        await reached(alice, contact_of(bob), bob)
        await mallory.silent()


@on_loop
async def test_contact_of_two_users_of_one_name_in_two_domains_is_no_address(example: Organisation) -> None:
    """Only one of them is registered here, and the other one may be at another server with the same Contact."""
    example.document["sip_domains"] = ["example.test", "second.test"]
    example.write()
    example.issue_all()
    async with Network((example,), starts=(FE1, FE2)) as network:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await reached(alice, contact_of(bob), bob)
        users = Users(example.load().users_url)
        users.add("bob@second.test", "bob-secret")
        users.close()
        await network.nodes[FE1].user_updates.refresh()
        assert await told(alice, contact_of(bob)) == 404
