"""What a server says of itself: its certificate, its links, and what it refused lately."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA256

from server.proxy.events.test_summaries import says
from sipmesh.server.admin.status_report import LATELY, anchors_in_use, shown_certificate, status_of
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from support.network import BOT, EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.running import on_loop, until
from support.talking import inside_of, talking


@on_loop
async def test_report_has_the_certificate_the_links_and_the_peers(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        await pool.phone("bob", FE2)
        await alice.ask(alice.request("MESSAGE", "sip:carol@example.test"))
        await pool.peer(FE1, credentials=EDGE)
        node = pool.nodes[FE1]
        await until(lambda: len(node.pool.all()) == 2)
        status = status_of(node)
        assert status.links == {"client": 1, "server": 1, "partner": 0}
        assert status.peers == (EDGE,)
        assert status.certificate == shown_certificate(read_certificates(pool.credentials(FE1)[0]))
        assert (status.certificate_fault, status.refused) == ("", ())
        assert status.started_at is not None
        assert abs(datetime.now(UTC) - status.started_at) < timedelta(minutes=1)
        assert status.bindings
        assert status.refuses_from is not None


@on_loop
async def test_refusals_of_servers_are_reported_for_ten_minutes_and_those_of_clients_are_not(
    federation: Network,
) -> None:
    federation.starts = (FE1,)
    async with federation:
        node = federation.nodes[FE1]
        with suppress(OSError):
            stranger = await federation.peer(FE1, credentials=PARTNER_EDGE)
            await stranger.hung_up()
        await until(node.gatekeeper.refused)
        [told] = status_of(node).refused
        assert "server link" in told
        assert sum(status_of(node).refusals.values()) == 1
        [verdict] = node.gatekeeper.refused()
        assert datetime.now(UTC) - verdict.at < LATELY


@on_loop
async def test_anchor_in_use_is_that_of_our_own_certificate(home: Network) -> None:
    async with home:
        root = read_certificates(home.organisations[0].root)[0]
        assert anchors_in_use(home.nodes[FE1]) == {root.fingerprint(SHA256()).hex()}


@on_loop
async def test_report_says_what_an_application_is_used_for(pool: Network) -> None:
    """Its calls that are up, those that it has taken, and the users whose messages wait there."""
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await pool.peer(FE1, f"700@{BOT}", BOT)
        for _ in range(2):
            _, _, dialog = await talking(alice, bot)
            await bot.request_in("ACK")
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bot.reply(await bot.request_in("BYE"), 200)
        await alice.final(method="BYE")
        assert await says(bot, b"Messages-Waiting: yes\r\nVoice-Message: 2/1\r\n") == 200
        [use] = status_of(pool.nodes[FE1]).applications
        assert (use.application, use.calls, use.called) == (BOT, 1, 2)
        of_pool = [one for name in (FE1, FE2) for one in status_of(pool.nodes[name]).applications]
        assert sum(one.mailboxes for one in of_pool) == 1  # at the notifier of the user
