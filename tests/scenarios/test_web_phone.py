"""The web phone of a front end: served where the topology says so, and nothing beside it."""

from __future__ import annotations

import gzip
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.web_phone import files
from support.network import FE1, Network
from support.peer import HungUpError
from support.running import on_loop, until
from support.web_peer import WebPeer, open_websocket, upgrade, web_address

ASKED = b"GET /phone HTTP/1.1\r\nHost: fe1.example.test\r\nAccept-Encoding: gzip\r\n\r\n"


@pytest.fixture(name="phone")
def _phone(example: Organisation) -> Network:
    """A front end that serves the web phone; whether npm has built it is no matter here."""
    open_websocket(example, phone=True)
    return Network((example,), starts=(FE1,))


async def answer(network: Network, request: bytes) -> bytes:
    """What the WebSocket port of the front end answers to an HTTP request."""
    address = web_address(network.of(FE1), FE1)
    async with await WebPeer.begin(address, "alice@example.test", request) as peer:
        await peer.read_all()
        return bytes(peer.heard)


@on_loop
async def test_front_end_serves_the_phone(phone: Network) -> None:
    async with phone:
        head, _, body = (await answer(phone, ASKED)).partition(b"\r\n\r\n")
        page = files.web_phone()["/phone"]
        assert head.startswith(f"HTTP/1.1 {page.status} ".encode())
        assert gzip.decompress(body) == gzip.decompress(page.body)
        head = await answer(phone, ASKED.replace(b"/phone", b"/phone/../../topology.yaml"))
        assert head.startswith(b"HTTP/1.1 404 ")
        assert phone.nodes[FE1].counters.upgrades == {404: 1}
        await until(lambda: not any(link.port == "websocket" for link in phone.nodes[FE1].pool.all()))


@on_loop
async def test_page_may_connect_to_its_own_front_end_only(phone: Network) -> None:
    async with phone:
        address = web_address(phone.of(FE1), FE1)
        host = f"{FE1}:{address[1]}"
        own = upgrade(host=host, origin=f"https://{host}")
        async with await WebPeer.dial(address, "alice@example.test", own) as alice:
            assert (await alice.register()).status == 200
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(address, "a@example.test", upgrade(host=host, origin="https://fe2.example.test"))
        with pytest.raises(HungUpError, match="421 Misdirected"):
            await WebPeer.dial(address, "a@example.test", upgrade(host="evil.test", origin="https://evil.test"))


@on_loop
async def test_phone_is_off_by_default_and_follows_the_topology(example: Organisation) -> None:
    open_websocket(example)
    async with Network((example,), starts=(FE1,)) as network:
        assert (await answer(network, ASKED)).startswith(b"HTTP/1.1 426 ")
        document: dict[str, Any] = example.document
        document["websocket"]["phone"] = True
        example.write()
        network.nodes[FE1].put_in_force(example.load())
        assert not (await answer(network, ASKED)).startswith(b"HTTP/1.1 426 ")


@on_loop
async def test_visitors_of_the_page_are_counted_as_strangers(phone: Network) -> None:
    """Connections that ask for nothing, or for half a page, have the limits of clients without a login."""
    async with phone:
        address = web_address(phone.of(FE1), FE1)
        accounts = phone.nodes[FE1].accounts
        async with AsyncExitStack() as stack:
            begun = [WebPeer.begin(address, "a@example.test", ASKED[:-2]) for _ in range(5)]
            peers = [await stack.enter_async_context(await peer) for peer in begun]
            await until(lambda: len(accounts.strangers) == 5)
            await peers[0].write_octets(b"\r\n")
            await peers[0].read_all()
            await until(lambda: len(accounts.strangers) == 4)
