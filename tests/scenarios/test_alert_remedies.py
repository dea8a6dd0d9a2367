"""Remedies of docs/howto/alerts.md at a server that runs: each alert fires for its fault, and ends after what the page says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.admin.test_commands import refused_at
from sipmesh.demo import forkserver
from sipmesh.sip.transaction.ack import ack_for
from sipmesh.transport.limits import Limits
from support.alert_rules import fired
from support.figures import Figures, ask_for_figures, figures, figures_with, labelled, page_of
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.running import on_loop

pytestmark = [pytest.mark.peer("promtool"), pytest.mark.wide]

ALERTS = {
    "SipmeshLinksRefused",
    "SipmeshLoginsFail",
    "SipmeshPhonesGetNoLink",
    "SipmeshRegistrationsFall",
    "SipmeshCallsFail",
    "SipmeshRequestsFail",
    "SipmeshAtALimit",
}
DEVICES = 8
"""Of each of three users: the alert about devices needs more than 20."""


async def called(caller: Peer, callee: Peer, status: int) -> None:
    """Make a call that *callee* answers with *status*."""
    invite = caller.request("INVITE", f"sip:{callee.user}")
    await caller.send(invite)
    await callee.reply(await callee.request_in("INVITE"), status)
    await callee.request_in("ACK")
    await caller.send(ack_for(invite, await caller.final()))


async def devices(home: Network) -> list[Peer]:
    return [await home.phone(user, FE1) for user in ("alice", "bob", "carol") for _ in range(DEVICES)]


async def without_tls(home: Network) -> None:
    """A phone whose transport is TCP."""
    reader, writer = await asyncio.open_connection(*home.address(FE1))
    writer.write(b"REGISTER sip:example.test SIP/2.0\r\n\r\n")
    await reader.read()
    writer.close()


async def typed(home: Network, *words: str) -> None:
    """Run a command about users, and have the server read them, as a server in a process of its own does."""
    organisation = home.organisations[0]
    arguments = (*words, "--topology", str(organisation.file))
    status, printed = await asyncio.to_thread(forkserver.run, arguments, organisation.folder, "")
    assert status == 0, printed
    await home.nodes[FE1].user_updates.refresh()


async def in_figures(port: int, name: str, value: float, **labels: str) -> Figures:
    """Wait for a figure; gives all."""
    return await figures_with(port, lambda found: found.get(labelled(name, **labels)) == value)


@on_loop
async def test_alerts_about_phones_links_and_calls_end_with_their_remedies(home: Network, tmp_path: Path) -> None:
    """All faults at once at one front end; what happens between two looks counts as that of ten seconds."""
    port = ask_for_figures(home.organisations[0])
    home.limits = Limits(branches_per_user=1, login_s=0)
    async with home, page_of(home):
        phones = await devices(home)
        well = await in_figures(port, "sipmesh_registrations", 3 * DEVICES)
        for phone in phones:
            await phone.__aexit__()
        caller, callee = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for _ in range(3):
            await refused_at(home)
        for number in range(11):
            assert (await (await home.peer(FE1, f"user{number}")).register(password="guessed")).status == 401
        for _ in range(6):
            await without_tls(home)
        await called(caller, callee, 503)
        await caller.send(caller.request("MESSAGE", f"sip:{callee.user}"))
        await callee.reply(await callee.request_in("MESSAGE"), 503)
        await caller.final()
        await caller.send(*(caller.request("MESSAGE", f"sip:{callee.user}") for _ in range(3)))
        assert [(await caller.final()).status for _ in range(2)] == [503, 503]
        await callee.reply(await callee.request_in("MESSAGE"), 200)
        bad = await in_figures(port, "sipmesh_registrations", 2)
        await typed(home, "user", "disable", "alice@example.test")
        await caller.hung_up()
        await typed(home, "user", "enable", "alice@example.test")
        server = await home.peer(FE1, credentials=FE2)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        mended = await figures(port)
        await called(await home.phone("alice", FE1), callee, 486)
        await devices(home)
        after = await in_figures(port, "sipmesh_registrations", 3 * DEVICES + 2)
    assert fired(tmp_path, ALERTS, well, bad, mended, after) == {"before": set(), "during": ALERTS, "after": set()}
