"""Attacks with a login that has ended, a stolen front end, a certificate of another CA and other spellings of a user."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509

from server.proxy.test_repeated_refresh import ALICE
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.message import Request
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from support.bindings import bound
from support.network import FE1, FE2, FE3, POOL2, Network
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.talking import inside_of, talking
from transport.authority import Authority

BOB = "sip:bob@example.test"


# A login that has ended


def change(organisation: Organisation, how: str, user: str = "alice@example.test") -> None:
    users = Users(organisation.load().users_url)
    if how == "password":
        users.set_password(user, "another")
    elif how == "move":
        users.move(user, POOL2)
    else:
        users.remove(user)
    users.close()


@pytest.mark.parametrize("how", ["password", "remove"])
@on_loop
async def test_refresh_that_is_known_by_its_octets_ends_with_the_login(home: Network, how: str) -> None:
    """On its link, and on another one, to which the thief of the octets sends them; another phone goes on."""
    async with home:
        bob = await home.phone("bob", FE1)
        alice = await home.phone("alice", FE1)
        for cseq in range(100, 104):
            assert (await alice.ask(refresh(alice, cseq))).status == 200
        change(home.organisations[0], how)
        assert await home.nodes[FE1].user_updates.refresh() == 1
        with suppress(HungUpError, ConnectionError):
            await alice.send(refresh(alice, 104))
            while True:
                await alice.receive()
        assert not await bound(home.nodes[FE1], ALICE)
        thief = await home.peer(FE1, "alice")
        assert (await thief.ask(refresh(thief, 105))).status == 401
        assert (await thief.register()).status == 401
        assert not await bound(home.nodes[FE1], ALICE)
        assert (await bob.ask(refresh(bob, 100))).status == 200
        if how == "password":
            assert (await (await home.peer(FE1, "alice")).register(password="another")).status == 200


def refresh(peer: Peer, cseq: int) -> Request:
    to = f"<sip:{peer.user}>"
    return peer.request("REGISTER", "sip:example.test", to=to, call_id="refreshes", cseq=cseq)


@on_loop
async def test_user_who_has_moved_is_registered_in_the_new_pool_only(two_pools: Network) -> None:
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        assert (await alice.ask(refresh(alice, 100))).status == 200
        change(two_pools.organisations[0], "move")
        for node in two_pools.nodes.values():
            await node.user_updates.refresh()
        await alice.hung_up()
        assert not await bound(two_pools.nodes[FE1], ALICE)
        moved = await two_pools.phone("alice", FE3)
        assert (await moved.ask(refresh(moved, 100))).status == 200
        assert {row.server for row in await bound(two_pools.nodes[FE3], ALICE)} == {FE3}


# A stolen front end


@on_loop
async def test_stolen_front_end_registers_no_user_and_ends_no_call_of_others(pool: Network) -> None:
    """It knows the identifiers of a call that did not pass it, and has no token of the call."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        came, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        thief = await pool.peer_at(FE1, LinkKind.SERVER, "alice", FE2)
        stolen = thief.request("REGISTER", "sip:example.test", to=f"<{ALICE}>")
        assert (await thief.ask(stolen)).status == 403
        for uri in (BOB, bob.contact[1:-1]):
            bye = thief.request(
                "BYE", uri, sender=came.first("from"), to=f"<{BOB}>;tag={tag}", call_id=came.call_id, cseq=9
            )
            bye.append("p-asserted-identity", f"<{ALICE}>")
            assert (await thief.ask(bye)).status >= 400
        await bob.silent()
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_stolen_front_end_makes_no_flow_token(pool: Network) -> None:
    """A token that FE1 has not made leads to no phone; to users it may send requests, as any front end."""
    async with pool:
        bob = await pool.phone("bob", FE1)
        thief = await pool.peer_at(FE1, LinkKind.SERVER, "alice", FE2)
        port = pool.address(FE1, LinkKind.SERVER)[1]
        route = ("route", f"<sip:{'x' * 40}@{FE1}:{port};transport=tls;lr>")
        identity = ("p-asserted-identity", f"<{ALICE}>")
        for uri in ("sip:bob@192.0.2.99:5061;transport=tls", "sip:nobody@example.test"):
            assert (await thief.ask(thief.request("MESSAGE", uri, [route, identity]))).status == 404
        await bob.silent()
        await thief.send(thief.request("MESSAGE", BOB, [identity]))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await thief.final()).status == 200


@on_loop
async def test_stolen_front_end_does_not_open_the_contact_of_a_caller_who_hides(pool: Network) -> None:
    """It may send a request there, as the callee's server does; what comes back tells it nothing."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        hidden = f'"Anonymous" <sip:anonymous@anonymous.invalid>;tag={alice.tag}'
        await alice.send(alice.request("INVITE", BOB, [("privacy", "id")], sender=hidden))
        came = await bob.request_in("INVITE")
        contact = came.contacts[0].uri
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200
        thief = await pool.peer_at(FE1, LinkKind.SERVER, "carol", FE2)
        asked = thief.request("OPTIONS", contact, [("p-asserted-identity", "<sip:carol@example.test>")])
        told = await thief.ask(asked)
        assert told.status >= 400
        assert b"alice" not in told.encode()
        await alice.silent()


# Certificates and names in TLS


@pytest.mark.parametrize("name", ["evil.test", "pool1.example.test", "*", "a" * 63 + ".test", "xn--e1aybc.test"])
@on_loop
async def test_client_that_asks_for_another_name_gets_our_certificate(home: Network, name: str) -> None:
    """What it does with the certificate is its own decision; SNI opens no other port."""
    async with home:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = home.address(FE1)
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        peer = Peer(reader, writer, "alice@example.test")
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        chain, _ = home.credentials(FE1)
        ours = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        assert x509.load_der_x509_certificate(shown) == ours
        assert (await peer.register()).status == 200
        await peer.__aexit__()


@on_loop
async def test_certificate_of_a_public_ca_is_no_server_of_ours(pool: Network, tmp_path: Path) -> None:
    """A CA that browsers trust could issue one for any name; the own certificate of the same server is accepted."""
    public = Authority.create(tmp_path / "public", "Public CA")
    public.issue(FE2, file="stolen")
    async with pool:
        address = pool.address(FE1, LinkKind.SERVER)
        stolen = (public.folder / "stolen.pem", public.folder / "stolen.key")
        with suppress(OSError, ssl.SSLError):
            thief = await Peer.open(address, "alice@example.test", stolen)
            with suppress(OSError):
                await thief.send(thief.request("OPTIONS", f"sip:{FE1}"))
            await thief.hung_up()
            assert not thief.heard
        own = await pool.peer_at(FE1, LinkKind.SERVER, "alice", FE2)
        assert (await own.ask(own.request("OPTIONS", f"sip:{FE1}"))).status == 200


# Another spelling of a user


@pytest.mark.parametrize("spelling", ["ALICE", "Alice", "%61lice"])
@on_loop
async def test_guesses_under_each_spelling_count_for_one_user(home: Network, spelling: str) -> None:
    """In To and in the credentials. The right user name gets in all the same."""
    async with home:
        thief = await home.peer(FE1, "alice")
        to = f"<sip:{spelling}@example.test>"
        first = await thief.ask(thief.request("REGISTER", "sip:example.test", to=to))
        challenges = [parse_challenge(value) for value in first.values("www-authenticate")]
        for name in (spelling, "alice"):
            wrong = answer(challenges, name, "guess", "REGISTER", "sip:example.test", "c", 1)
            asked = thief.request("REGISTER", "sip:example.test", [("authorization", wrong)], to=to)
            assert (await thief.ask(asked)).status in {401, 403}
        known = {failure.user for failure in home.nodes[FE1].logins.remembered.newest(10)}
        assert known == {"sip:alice@example.test"}
        right = answer(challenges, "alice", "alice-secret", "REGISTER", "sip:example.test", "c", 2)
        asked = thief.request("REGISTER", "sip:example.test", [("authorization", right)], to=to)
        assert (await thief.ask(asked)).status == 200
        assert len(await bound(home.nodes[FE1], ALICE)) == 1
