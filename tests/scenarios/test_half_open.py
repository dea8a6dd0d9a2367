"""Connections that begin a handshake and go on with an octet now and then: new logins succeed beside them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import ExitStack, suppress

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.transport.limits import Limits
from sipmesh.transport.tls.pyopenssl import TINY_HELLO
from sipmesh.transport.tls.tiny_records import MOST_TINY
from support.network import FE1, Network
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of

ADDRESSES = 5
LIMITS = Limits(silent_per_address=4, handshakes_per_address=4, silent_in_all=16, handshakes_in_flight=16, slow_s=0.1)


async def from_address(network: Network, address: str, user: str) -> Peer:
    """A phone at *address* of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    streams = await asyncio.open_connection(HOST, network.address(FE1)[1], ssl=context, local_addr=(address, 0))
    return Peer(*streams, f"{user}@example.test")


def half_open(address: tuple[str, int], number: int) -> socket.socket:
    """A connection of which the first octet of a ClientHello has come."""
    sock = socket.create_connection(address, source_address=(f"127.0.0.{10 + number % ADDRESSES}", 0))
    sock.sendall(b"\x16")
    return sock


async def drip(socks: list[socket.socket]) -> None:
    """Go on with an octet for each, as slowly as permitted."""
    while True:
        await asyncio.sleep(0.02)
        for sock in socks:
            with suppress(OSError):
                sock.sendall(b"\x03")


@pytest.mark.parametrize("address", ["127.0.0.99", "127.0.0.10"], ids=["another-address", "their-address"])
@on_loop
async def test_half_open_connections_keep_no_login_out(home: Network, address: str) -> None:
    """All places are taken twice over, by five addresses."""
    home.limits = LIMITS
    async with home:
        with ExitStack() as stack:
            socks = [stack.enter_context(half_open(home.address(FE1), number)) for number in range(40)]
            dripping = asyncio.create_task(drip(socks))
            for user in ("alice", "bob", "carol"):
                async with await from_address(home, address, user) as phone:
                    assert (await phone.register()).status == 200
            dripping.cancel()
        listener = home.nodes[FE1].listening.listeners[0]
        assert listener.places.silent.displaced


@pytest.mark.parametrize("address", ["127.0.0.99", "127.0.0.10"], ids=["another-address", "their-address"])
@on_loop
async def test_half_open_connections_to_one_worker_keep_no_login_out_of_any(
    example: Organisation, address: str
) -> None:
    """By its source ports, an attacker has all its connections at one worker, and that worker has half of the places."""
    async with pair_of(example, limits=LIMITS) as pair:
        with ExitStack() as stack:
            socks = [stack.enter_context(half_open(pair.address(ONE), number)) for number in range(40)]
            dripping = asyncio.create_task(drip(socks))
            for user, worker in (("alice", ONE), ("bob", TWO), ("carol", ONE)):
                phone = await pair.peer(user, worker, source=address)
                assert (await phone.register()).status == 200
            dripping.cancel()
        displaced = {worker: node.listening.listeners[0].places.silent.displaced for worker, node in pair.nodes.items()}
        assert displaced[ONE] > displaced[TWO] == 0


@on_loop
async def test_client_hello_in_tiny_records_ends_its_connection(home: Network) -> None:
    """Nothing of it reaches OpenSSL. Control: a phone logs in beside it."""
    record = b"\x16\x03\x01\x00\x01"
    hello = b"".join(record + octet.to_bytes() for octet in b"\x01\x01\xff\x00\x03\x03" + bytes(2 * MOST_TINY))
    async with home:
        reader, writer = await asyncio.open_connection(*home.address(FE1))
        writer.write(hello)
        with suppress(ConnectionError):
            assert not await reader.read()
        writer.close()
        await until(lambda: any(TINY_HELLO in str(line) for line in home.told[FE1].lines))
        phone = await home.phone("alice", FE1)
        assert (await phone.register()).status == 200
