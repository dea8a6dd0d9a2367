"""Users are called under their aliases, and no other user speaks under them: over TLS, at each server and by a partner."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Request
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, FE3, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop

NUMBER = "+49-30-123"
SPELLINGS = (
    "tel:+4930123",
    "TEL:+49(30)123",
    "sip:+4930123@example.test;user=phone",
    "sip:%2B49-30-123@example.test",
    "sip:+493012%33@EXAMPLE.test",
    "sip:42@example.test",
    "tel:4-2;phone-context=Example.TEST",
    "sip:Info@example.test",
    "sip:%49nfo@example.test",
    "sip:ALICE@example.test",
)


def give(organisation: Organisation, *names: str, user: str = "alice@example.test", take: bool = False) -> None:
    """Give *user* the aliases *names*, or take them."""
    users = Users(organisation.load().users_url)
    for name in names:
        (users.remove_alias if take else users.add_alias)(user, name)
    users.close()


async def sent(peer: Peer, uri: str, sender: str = "") -> int:
    """The status of a MESSAGE to *uri*; *sender* is the From in place of the user's own."""
    written = f"<{sender}>;tag={peer.tag}" if sender else None
    return (await peer.ask(peer.request("MESSAGE", uri, sender=written, to=f"<{uri}>"))).status


async def arrives(caller: Peer, callee: Peer, uri: str, sender: str = "") -> Request:
    """A MESSAGE to *uri* that arrives at *callee*, and is answered."""
    written = f"<{sender}>;tag={caller.tag}" if sender else None
    await caller.send(caller.request("MESSAGE", uri, sender=written, to=f"<{uri}>"))
    arrived = await callee.request_in("MESSAGE")
    await callee.reply(arrived, 200)
    assert (await caller.final()).status == 200
    return arrived


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_user_is_called_under_each_spelling_of_each_alias(pool: Network, server: str) -> None:
    give(pool.organisations[0], NUMBER, "42", "info")
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        for uri in SPELLINGS:
            arrived = await arrives(bob, alice, uri)
            assert arrived.uri.startswith("sip:alice@127.0.0.1")
        for uri in ("tel:+4930124", "sip:43@example.test", "tel:42;phone-context=other.test"):
            assert await sent(bob, uri) == 404
        assert await sent(bob, "tel:42") == 400


@on_loop
async def test_user_of_another_pool_is_called_under_an_alias(two_pools: Network) -> None:
    give(two_pools.organisations[0], NUMBER, user="bob@example.test")
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        await arrives(alice, bob, "tel:+4930123")
        await arrives(alice, bob, "sip:+4930123@example.test;user=phone")


@on_loop
async def test_partner_calls_only_an_alias_by_number(federation: Network) -> None:
    give(federation.organisations[0], NUMBER)
    async with federation:
        alice = await federation.phone("alice", FE1)
        erin = await federation.phone("erin", PARTNER_FE)
        await arrives(erin, alice, "sip:+49(30)123@example.test;user=phone")
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        await arrives(edge, alice, "tel:+4930123")
        assert await sent(edge, "tel:+4930124") == 404


@pytest.mark.parametrize("alias", ["tel:+4930123", "sip:+49-30-123@example.test;user=phone", "sip:INFO@example.test"])
@on_loop
async def test_alias_is_a_from_of_its_own_user_only(pool: Network, alias: str) -> None:
    """The same message by another user is refused, at each server; the identity is the user, not the From."""
    give(pool.organisations[0], NUMBER, "info")
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        carol, stranger = await pool.phone("carol", FE1), await pool.peer(FE1)
        arrived = await arrives(alice, bob, "sip:bob@example.test", alias)
        assert arrived.values("p-asserted-identity") == ["<sip:alice@example.test>"]
        assert arrived.from_.uri == alias
        for thief in (carol, bob, stranger):  # the password of alice is asked for, where a realm tells nothing
            assert await sent(thief, "sip:bob@example.test", alias) == (403 if alias.startswith("tel:") else 407)


@on_loop
async def test_partner_cannot_call_from_the_number_of_our_user(federation: Network) -> None:
    """In its own domain too: phones show the number alone. The control calls from a number that no user here has."""
    give(federation.organisations[0], NUMBER)
    async with federation:
        bob = await federation.phone("bob", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        for theft in (
            "sip:+4930123@partner.test;user=phone",
            "sip:+49(30)123@partner.test",
            "sip:%2B4930123@partner.test",
            "sip:+493012%33@partner.test",
            "sip:+4930123;npdi@partner.test;user=phone",
            "tel:+4930123",
        ):
            assert await sent(edge, bob_uri := "sip:bob@example.test", theft) == 403, (theft, bob_uri)
        await arrives(edge, bob, "sip:bob@example.test", "sip:+4930999@partner.test;user=phone")
        await arrives(edge, bob, "sip:bob@example.test", "sip:+%25@partner.test")


@on_loop
async def test_alias_that_is_taken_away_is_nobodys_at_once_and_links_stay(home: Network) -> None:
    organisation = home.organisations[0]
    give(organisation, NUMBER)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await arrives(bob, alice, "tel:+4930123")
        give(organisation, NUMBER, take=True)
        assert await home.nodes[FE1].user_updates.refresh() == 0
        assert await sent(bob, "tel:+4930123") == 404
        assert await sent(alice, "sip:bob@example.test", "tel:+4930123") == 403
        give(organisation, NUMBER, user="bob@example.test")
        await home.nodes[FE1].user_updates.refresh()
        await arrives(alice, bob, "tel:+4930123")


@on_loop
async def test_user_registers_under_another_spelling_and_an_alias_with_its_own_password(home: Network) -> None:
    give(home.organisations[0], "info")
    async with home:
        bob = await home.phone("bob", FE1)
        for name in ("sip:ALICE@example.test", "sip:info@example.test"):
            alice = await home.phone("alice", FE1)
            again = await alice.ask(alice.request("REGISTER", "sip:example.test", to=f"<{name}>"))
            assert again.status == 200
            await arrives(bob, alice, "sip:alice@example.test")
        stolen = await bob.ask(bob.request("REGISTER", "sip:example.test", to="<sip:info@example.test>"))
        assert stolen.status == 401
