"""Logging in, failing to, and what becomes of a link when its user changes."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.routing.authentication.backoff import FailureLimits
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.storage.users.user_database import Users
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.process import serving
from support.running import on_jumping_loop, on_loop

LIMITS = FailureLimits()
WRONG = (
    'Digest username="alice", realm="example.test", nonce="bm9uZQ", uri="sip:example.test", algorithm=SHA-256, '
    f'response="{"0" * 64}", qop=auth, nc=00000001, cnonce="c"'
)


@on_jumping_loop
async def test_link_that_keeps_failing_is_closed_and_its_user_still_logs_in_elsewhere(home: Network) -> None:
    """All at once, so that no answer is waited for: the count is what closes."""
    async with home:
        guesser = await home.peer(FE1, "alice")
        await guess(guesser, LIMITS.link_closes_at - 1)
        assert (await guesser.ask(guesser.request("OPTIONS", "sip:example.test"))).status == 200
        await guess(guesser, 1)
        await guesser.hung_up()
        assert home.told[FE1].last("login failed")["closes"] is True
        assert (await (await home.peer(FE1, "alice")).register()).status == 200


@on_loop
async def test_two_users_may_log_in_on_one_link_and_each_speaks_for_itself(home: Network) -> None:
    """Phones with several lines do so; each is challenged in the request that it sends first."""
    async with home:
        phone, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        phone.user = "bob@example.test"
        asked = phone.request("MESSAGE", "sip:carol@example.test")
        challenged = await phone.ask(asked)
        assert challenged.status == 407
        for name, status in (("alice", 407), ("bob", 200)):
            again = phone.request("MESSAGE", "sip:carol@example.test")
            challenges = [parse_challenge(value) for value in challenged.values("proxy-authenticate")]
            credentials = answer(challenges, name, f"{name}-secret", "MESSAGE", again.uri, "c", 1)
            again.append("proxy-authorization", credentials)
            await phone.send(again)
            if status == 200:
                came = await carol.request_in("MESSAGE")
                assert came.values("p-asserted-identity") == ["<sip:bob@example.test>"]
                await carol.reply(came, 200)
            challenged = await phone.final()
            assert challenged.status == status
        for user in ("alice", "bob"):
            phone.user = f"{user}@example.test"
            await phone.send(phone.request("MESSAGE", "sip:carol@example.test"))
            came = await carol.request_in("MESSAGE")
            assert came.values("p-asserted-identity") == [f"<sip:{user}@example.test>"]
            await carol.reply(came, 200)
            assert (await phone.final()).status == 200


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:{port}", 202), ("fe1.example.test", 202), ("127.0.0.2:{port}", 400), (FE2, 400)]
)
@on_loop
async def test_client_may_sign_this_server_in_place_of_the_request_uri(home: Network, host: str, status: int) -> None:
    """SIPp does so in each request; what is signed for another server is worth nothing here."""
    async with home:
        phone = await home.peer(FE1, "alice")
        signed = f"sip:{host.format(port=home.address(FE1)[1])}"
        challenged = await phone.ask(phone.request("MESSAGE", "sip:bob@example.test"))
        challenges = [parse_challenge(value) for value in challenged.values("proxy-authenticate")]
        again = phone.request("MESSAGE", "sip:bob@example.test")
        again.append("proxy-authorization", answer(challenges, "alice", "alice-secret", "MESSAGE", signed, "c", 1))
        assert (await phone.ask(again)).status == status


@on_loop
async def test_user_cannot_register_the_address_of_another(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        stolen = alice.request("REGISTER", "sip:example.test", to="<sip:bob@example.test>")
        assert (await alice.ask(stolen)).status == 401
        elsewhere = alice.request("REGISTER", "sip:other.test", to="<sip:alice@other.test>")
        assert (await alice.ask(elsewhere)).status == 404


@pytest.mark.parametrize("change", ["password", "remove"])
@on_loop
async def test_links_of_a_changed_user_are_closed_within_a_second_and_no_others(home: Network, change: str) -> None:
    """The promise is a second and is kept for ten times as long on a slow machine."""
    organisation = home.organisations[0]
    async with home:
        await home.stop(FE1)
        async with serving(organisation, FE1):
            alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
            users = Users(organisation.load().users_url)
            if change == "password":
                users.set_password("alice@example.test", "another")
            else:
                users.remove("alice@example.test")
            users.close()
            async with asyncio.timeout(10):
                await alice.hung_up()
            back = await home.peer(FE1, "alice")
            assert (await back.register()).status == 401
            expected = 404 if change == "remove" else 202
            assert (await bob.ask(bob.request("MESSAGE", "sip:alice@example.test"))).status == expected


@on_loop
async def test_user_that_is_added_may_log_in_without_a_restart(home: Network) -> None:
    async with home:
        home.organisations[0].add_users("dora")
        assert (await (await home.peer(FE1, "dora")).register()).status == 401
        await home.nodes[FE1].user_updates.refresh()
        assert (await (await home.peer(FE1, "dora")).register()).status == 200


async def guess(peer: Peer, times: int) -> None:
    """Send wrong passwords without waiting for what comes back."""
    for _ in range(times):
        credentials = ("authorization", WRONG)
        await peer.send(peer.request("REGISTER", "sip:example.test", [credentials], to=f"<sip:{peer.user}>"))
