"""What the client port of an edge gives to strangers, and what a stolen edge cannot do with remote users."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from sipmesh.routing.authentication.backoff import FailureLimits
from sipmesh.trust.evidence import LinkKind
from support.carrying import carrier, credentials, logged_in, path_of, registration
from support.network import EDGE, FE1, FE2, FE3, FE4, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop
from support.tiers import wide_after

ALICE, CAROL = "sip:alice@example.test", "sip:carol@example.test"


METHODS = ("INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "NOTIFY", "REFER", "BYE", "INFO")
LENT: tuple[list[tuple[str, str]], ...] = (
    [],
    [("p-asserted-identity", f"<{ALICE}>")],
    [("route", f"<sip:{FE1}:5062;lr>")],
)


@pytest.mark.parametrize(
    "to", ["carol@example.test", "erin@partner.test", "room@bot.example.test", "x@fe1.example.test"]
)
@on_loop
async def test_stranger_at_an_edge_reaches_no_user(remote: Network, to: str) -> None:
    async with remote:
        carol, stranger = await remote.phone("carol", FE1), await remote.peer(EDGE, "alice")
        for method, headers in product(METHODS, LENT):
            refused = await stranger.ask(stranger.request(method, f"sip:{to}", headers))
            assert refused.status in {403, 489}
            assert not refused.has("proxy-authenticate")
        await carol.silent()
        assert (await stranger.register()).status == 200
        await stranger.send(stranger.request("MESSAGE", CAROL))
        await carol.reply(await carol.request_in("MESSAGE"), 200)
        assert (await stranger.final()).status == 200


@on_loop
async def test_remote_user_speaks_in_no_other_name(remote: Network) -> None:
    async with remote:
        alice, carol = await remote.phone("alice", EDGE), await remote.phone("carol", FE1)
        for sender in (CAROL, "sip:erin@partner.test"):
            forged = alice.request("MESSAGE", CAROL, sender=f"<{sender}>;tag=x")
            assert (await alice.ask(forged)).status == 403
        await carol.silent()
        claims = [("p-asserted-identity", f"<{CAROL}>"), ("verified-identity", f"<{ALICE}>")]
        await alice.send(alice.request("MESSAGE", CAROL, claims))
        came = await carol.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == [f"<{ALICE}>"]
        assert not came.has("verified-identity")
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("domain", ["partner.test", "elsewhere.test"])
@on_loop
async def test_register_of_another_domain_ends_at_the_edge(remote: Network, domain: str) -> None:
    async with remote:
        stranger = await remote.peer(EDGE, f"erin@{domain}")
        asked = stranger.request("REGISTER", f"sip:{domain}", to=f"<sip:erin@{domain}>")
        assert (await stranger.ask(asked)).status == 404
        assert (await (await remote.peer(EDGE, "alice")).register()).status == 200


@on_loop
async def test_stolen_edge_registers_no_user_without_the_password_and_asserts_no_user(remote: Network) -> None:
    async with remote:
        edge, carol = await carrier(remote, FE1, EDGE, "alice"), await remote.phone("carol", FE1)
        path, claim = path_of(EDGE), ("p-asserted-identity", f"<{ALICE}>")
        challenged = await edge.ask(registration(edge, path, [claim]))
        assert challenged.status == 401
        assert (await edge.ask(registration(edge, path, [credentials(edge, challenged, "wrong")]))).status == 401
        assert (await edge.ask(edge.request("MESSAGE", CAROL, [claim]))).status == 403
        route = ("route", await logged_in(edge, path))
        assert (await edge.ask(edge.request("MESSAGE", CAROL, [route], sender=f"<{CAROL}>;tag=x"))).status == 407
        await carol.silent()
        await edge.send(edge.request("MESSAGE", CAROL, [route]))
        await carol.reply(await carol.request_in("MESSAGE"), 200)
        assert (await edge.final()).status == 200


@on_loop
async def test_partner_cannot_use_the_flow_of_a_remote_user(remote: Network) -> None:
    async with remote:
        alice = await remote.phone("alice", EDGE)
        (flow,) = [flow for flow in remote.nodes[EDGE].flow_table.sessions() if flow.logins]
        route = ("route", f"<sip:{flow.logins[ALICE].path}@{EDGE}:5062;transport=tls;lr;ob>")
        partner = await remote.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        assert (await partner.ask(partner.request("MESSAGE", ALICE, [route]))).status == 403
        await alice.silent()
        erin = await remote.phone("erin", PARTNER_FE)
        await erin.send(erin.request("MESSAGE", ALICE))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        assert (await erin.final()).status == 200


async def guesses(guesser: Peer, via: str = "") -> None:
    """Fail one login; *via* is what the guesser writes below its Via."""
    user = guesser.user.partition("@")[0]
    asked = guesser.request("REGISTER", "sip:example.test", to=f"<sip:{guesser.user}>")
    proof = credentials(guesser, await guesser.ask(asked), "wrong")
    guess = guesser.request("REGISTER", "sip:example.test", [proof], to=f"<sip:{user}@example.test>")
    if via:
        guess.append("via", via)
    assert (await guesser.ask(guess)).status == 401


FORGED_VIAS = [
    "",
    "SIP/2.0/TLS 127.0.0.9;branch=z9hG4bK-x;received=127.0.0.9",
    f"SIP/2.0/TLS {EDGE}:5062;branch=z9hG4bK-x",
]


@pytest.mark.parametrize("via", wide_after(2, FORGED_VIAS))
@pytest.mark.parametrize(("user", "between"), [("alice", f"by {EDGE}"), ("bob", f"by {EDGE} by {{fe}}")])
@on_loop
async def test_guess_at_an_edge_counts_at_home_for_the_address_that_the_edge_has_seen(
    remote: Network, user: str, between: str, via: str
) -> None:
    """One pool behind the edge, and two: no Via of the guesser names another address."""
    async with remote:
        guesser = await remote.peer_from("127.0.0.7", EDGE, user)
        await guesses(guesser, via)
        told = {str(line["remote"]) for name in remote.nodes for line in remote.told[name].events("login failed")}
        inside = {f"127.0.0.7 {between.format(fe=name)}" for name in (FE1, FE2)}
        assert told - {"127.0.0.7", f"127.0.0.7 by {EDGE}"} <= inside
        assert len(told) == 2 + (user == "bob")


@on_jumping_loop
async def test_guesser_at_an_edge_delays_no_other_address_behind_it(remote: Network) -> None:
    """Each address has attempts of its own at the home pool, also two pools away: the pool does not see the edge's as one."""
    async with remote:
        loop = asyncio.get_running_loop()
        for name in (FE2, FE4):  # one way home, so that all guesses count there
            await remote.stop(name)
        remote.nodes[FE3].failures._limits = FailureLimits(address_free=4)
        for _ in range(4):
            await guesses(await remote.peer_from("127.0.0.7", EDGE, "dora"))
        took = {}
        for address in ("127.0.0.7", "127.0.0.8"):
            phone, began = await remote.peer_from(address, EDGE, "bob"), loop.time()
            assert (await phone.register()).status == 200
            took[address] = round(loop.time() - began, 1)
        assert took == {"127.0.0.7": 2.0, "127.0.0.8": 0.0}


@on_loop
async def test_edge_has_no_passwords_and_answers_a_guess_as_its_pool_does(remote: Network) -> None:
    async with remote:
        for user in ("alice", "nobody"):
            phone = await remote.peer(EDGE, user)
            assert (await phone.register(password="wrong")).status == 401
        users = remote.nodes[EDGE].users
        assert users.verifier(ALICE) is None
        told = remote.told[EDGE].events("login failed")
        assert [line["user"] for line in told] == [ALICE, "sip:nobody@example.test"]
