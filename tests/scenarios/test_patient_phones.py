"""Phones that need long for each step of a login get in while others wait. Links without a login keep no phone out.

A phone may be slow because its own machine is busy. Only the time shows the server whether a phone is slow or stalls.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import pytest

from sipmesh.sip.message import Response
from sipmesh.transport.limits import Limits
from support.network import FE1, Network
from support.peer import Peer
from support.running import on_loop

PHONES, PLACES = 12, 3
PAUSE_S = 0.03
PATIENT = Limits(
    handshakes_per_address=PLACES,
    silent_per_address=PLACES,
    strangers_per_address=PLACES,
    slow_s=0.02,
)
"""The times for a handshake and a login are those of a server. Where places are scarce, 20 ms would be slow."""


async def slow_phone(network: Network, number: int) -> Response:
    """Log in on one connection, with a pause before each step; return the answer to the second REGISTER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(*network.address(FE1))
    await asyncio.sleep(PAUSE_S * (number % 3))
    await writer.start_tls(context)
    await asyncio.sleep(PAUSE_S)
    async with Peer(reader, writer, "alice@example.test") as phone:
        request = await phone.with_credentials()
        await asyncio.sleep(PAUSE_S)
        return await phone.ask(request)


async def idle_links(network: Network, count: int, address: str) -> list[Peer]:
    """Links from *address* on which no user logs in."""
    return [await Peer.open(network.address(FE1), source=address) for _ in range(count)]


@on_loop
async def test_no_phone_is_reset_that_pauses_before_each_step(home: Network) -> None:
    """Twelve phones behind one address, of which three may be without a login at a time."""
    home.limits = PATIENT
    async with home:
        answers = await asyncio.gather(*(slow_phone(home, number) for number in range(PHONES)))
        assert [one.status for one in answers] == [200] * PHONES
        node = home.nodes[FE1]
        listener = node.listening.listeners[0]
        assert (node.accounts.strangers.displaced, listener.refused) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "idle"),
    [
        (replace(PATIENT, login_s=0.2), PLACES),
        (replace(PATIENT, strangers_per_address=9, strangers_in_all=9, login_s=600), 9),
    ],
    ids=["its-address-is-full", "the-server-is-full-of-one-address"],
)
@on_loop
async def test_links_without_a_login_keep_no_phone_out(home: Network, limits: Limits, idle: int) -> None:
    """They take all places first. Where one address has most of the places of all, it has them for `slow_s` for each step."""
    home.limits = limits
    address = "127.0.0.7"
    async with home:
        links = await idle_links(home, idle, address)
        async with await Peer.open(
            home.address(FE1), "alice@example.test", source=address if idle == PLACES else None
        ) as phone:
            assert (await phone.register()).status == 200
        assert home.nodes[FE1].accounts.strangers.displaced == 1
        await links[0].hung_up()
        for link in links[1:]:
            await link.silent()
            await link.__aexit__()
