"""An application whose certificate is revoked while it decides about a call: it counts as away at once, and lets nothing on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509

from sipmesh.pki.crl.builder import Reason
from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.sip.message import Request, Response
from support.network import BOT, EDGE, EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop
from support.tiers import wide_after

ASSERTED = "p-asserted-identity"
ALICE, BOB = (f"sip:{name}@{EXAMPLE}" for name in ("alice", "bob"))
DECIDES = [(), (100,), (180,), (100, 183)]
"""What the application has answered when the revocation counts: it has not decided."""


def revoke(network: Network, server: str) -> x509.Certificate:
    """Have the CA revoke the certificate of *server*; gives the certificate."""
    example = network.organisations[0]
    certificate = x509.load_pem_x509_certificates(example.credentials(server)[0].read_bytes())[0]
    example.ca.revoke(certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
    return certificate


def put_crls_in_force(network: Network) -> list[str]:
    """Have the front end read the CRLs of its CA again; gives the links that it closes."""
    example = network.organisations[0]
    files = {example.folder / name for name in example.load().topology.authority.crls}
    return network.nodes[FE1].revocation.accept_crls(files)


async def ready(pool: Network) -> tuple[Peer, Peer, Peer]:
    """Alice, bob, and the application that screens the calls to bob."""
    alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.peer(FE1, "bot", BOT)
    await bot.silent()
    return alice, bob, bot


async def deciding(alice: Peer, bot: Peer, says: tuple[int, ...]) -> Request:
    """Have alice call bob, and the application answer with the statuses of *says*, which arrive; gives the INVITE that it got."""
    await alice.send(alice.request("INVITE", BOB))
    came = await bot.request_in("INVITE")
    for status in says:
        await bot.reply(came, status)
    await bot.silent()
    return came


def let_on(bot: Peer, came: Request) -> Request:
    """Make the INVITE by which a B2BUA lets a call on."""
    routes = [("route", route) for route in came.items("route")[1:]]
    return bot.request("INVITE", came.uri, routes, sender=f"<{came.from_.uri}>;tag=b2b")


async def next_request(peer: Peer) -> Request:
    """Wait for the next request; responses before it are passed over."""
    while isinstance(message := await peer.receive(), Response):
        pass
    return message


@pytest.mark.parametrize("has_other_link", [False, True])
@pytest.mark.parametrize("says", DECIDES)
@pytest.mark.parametrize("if_away", ["refuse", "pass"])
@on_loop
async def test_revoked_application_is_away_and_lets_nothing_on(
    pool: Network, if_away: str, says: tuple[int, ...], *, has_other_link: bool
) -> None:
    """Also not by a link with a new certificate, which is up when the other closes, or which it opens afterwards."""
    pool.set_application(screens=[BOB.removeprefix("sip:")], if_away=if_away)
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await deciding(alice, bot, says)
        revoke(pool, BOT)
        pool.organisations[0].issue(BOT)
        before = await pool.peer(FE1, "bot", BOT) if has_other_link else None
        if before is not None:
            await before.silent()
        assert len(put_crls_in_force(pool)) == 1
        await bot.hung_up()
        if if_away == "refuse":
            refused = await alice.final()
            assert (refused.status, refused.values("retry-after")) == (503, [RETRY_AFTER_S])
        else:
            rung = await bob.request_in("INVITE")
            assert (rung.values(ASSERTED), rung.has("route")) == ([f"<{ALICE}>"], False)
        again = before or await pool.peer(FE1, "bot", BOT)
        assert (await again.ask(let_on(again, came))).status == 403
        await bob.silent()
        if if_away == "pass":
            await bob.reply(rung, 200)
            assert (await alice.final()).status == 200


@pytest.mark.parametrize("says", wide_after(2, [(says,) for says in DECIDES]))
@pytest.mark.parametrize("if_away", ["refuse", "pass"])
@on_loop
async def test_call_waits_on_while_another_certificate_is_revoked(
    pool: Network, if_away: str, says: tuple[int, ...]
) -> None:
    """That of an edge, whose link closes, and an older one of the application itself."""
    pool.set_application(screens=[BOB.removeprefix("sip:")], if_away=if_away)
    async with pool:
        older = await pool.peer(FE1, "bot", BOT)
        await older.silent()
        revoke(pool, BOT)
        pool.organisations[0].issue(BOT)
        edge = await pool.peer(FE1, "nobody", EDGE)
        await edge.silent()
        alice, bob, bot = await ready(pool)
        came = await deciding(alice, bot, says)
        revoke(pool, EDGE)
        assert len(put_crls_in_force(pool)) == 2
        for fallen in (older, edge):
            await fallen.hung_up()
        await bob.silent()
        await bot.send(let_on(bot, came))
        rung = await bob.request_in("INVITE")
        assert rung.values(ASSERTED) == [f"<{ALICE}>"]
        await bob.reply(rung, 200)
        assert (await bot.final()).status == 200
        await bot.reply(came, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("if_away", ["refuse", "pass"])
@on_loop
async def test_call_that_a_revoked_application_has_let_on_rings_no_longer_for_it(pool: Network, if_away: str) -> None:
    """The phone gets a CANCEL. With `pass`, it rings again for its caller."""
    pool.set_application(screens=[BOB.removeprefix("sip:")], if_away=if_away)
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await deciding(alice, bot, (100,))
        await bot.send(let_on(bot, came))
        first = await bob.request_in("INVITE")
        await bob.reply(first, 180)
        revoke(pool, BOT)
        [_] = put_crls_in_force(pool)
        cancelled = await next_request(bob)
        seen = {cancelled.method: cancelled}
        if if_away == "pass":
            other = await next_request(bob)
            seen[other.method] = other
            await bob.reply(seen["INVITE"], 200)
            assert seen["INVITE"].values(ASSERTED) == [f"<{ALICE}>"]
            assert (await alice.final()).status == 200
        else:
            assert (await alice.final()).status == 503
        assert seen["CANCEL"].top_via.branch == first.top_via.branch
