"""HelloRequests without end: OpenSSL skips them in one call, and so the whole server would stand still."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.hop import Hop
from sipmesh.transport.limits import Limits
from sipmesh.transport.reactor.call_watchdog import CallWatchdog
from sipmesh.transport.tls.pyopenssl import TOO_MUCH_WORK
from sipmesh.trust.evidence import LinkKind
from transport.world import WITHIN_S, Node, bodies, on_loop, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

HELLO_REQUEST = b"\x16\x03\x03\x00\x04\x00\x00\x00\x00"
PATIENT = Limits(handshake_s=60, dial_s=120)
"""The deadline of the handshake plays no part."""


@pytest.fixture(name="flooder")
def _flooder() -> Iterator[tuple[str, int]]:
    """The address of a peer that answers a ClientHello with HelloRequests, as long as a client takes them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_flood, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(WITHIN_S)
    assert not thread.is_alive()


def _flood(listening: socket.socket) -> None:
    try:
        sock, _ = listening.accept()
    except OSError:  # the test has failed before it dialled
        return
    with sock:
        sock.recv(65_536)
        try:
            while True:
                sock.sendall(HELLO_REQUEST * 7_000)
        except OSError:
            return


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Octet by octet, until one of both has closed."""
    with suppress(OSError):
        while octet := source.recv(1):
            sink.sendall(octet)
        sink.shutdown(socket.SHUT_WR)


def _relay(listening: socket.socket, address: tuple[str, int]) -> None:
    near, _ = listening.accept()
    with near, socket.create_connection(address) as far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pass_on, args=(far, near))
        back.start()
        _pass_on(near, far)
        back.join()


@on_loop
async def test_peer_that_sends_without_end_is_refused_and_the_next_address_is_tried(
    ca: Authority, here: Identity, there: Identity, flooder: tuple[str, int]
) -> None:
    async with Node(ca, here) as right, Node(ca, there, limits=PATIENT) as client:
        addresses = (flooder, right.listen(LinkKind.PARTNER).address)
        client.pool.obtain(Hop("here.test", LinkKind.PARTNER, addresses)).send(request("queued"))
        await right.heard.until(lambda: right.heard.messages)
        assert bodies(right.heard) == ["queued"]
        [verdict] = client.heard.refusals
        assert (str(verdict.code), verdict.reason and verdict.reason.saw) == ("handshake-failed", TOO_MUCH_WORK)


@on_loop
async def test_peer_that_sends_octet_by_octet_gets_in(ca: Authority, here: Identity, there: Identity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        async with Node(ca, here) as right, Node(ca, there, limits=PATIENT) as client:
            thread = threading.Thread(target=_relay, args=(slow, right.listen(LinkKind.PARTNER).address))
            thread.start()
            client.pool.obtain(Hop("here.test", LinkKind.PARTNER, (slow.getsockname(),))).send(request("slow"))
            await right.heard.until(lambda: right.heard.messages)
            assert (bodies(right.heard), client.heard.codes) == (["slow"], [])
        thread.join(WITHIN_S)
        assert not thread.is_alive()


class Cut(threading.Event):
    """The TLS of a handshake; the event is set once it was cut."""

    def cut(self) -> None:
        self.set()


def burn(until: threading.Event) -> None:
    """Use the CPU, as OpenSSL does in a call that takes long."""
    while not until.is_set():
        sum(range(1_000))


@pytest.mark.wide
def test_call_that_uses_the_cpu_for_long_is_cut_and_so_is_a_later_one() -> None:
    watchdog = CallWatchdog()
    for _ in range(2):
        tls = Cut()
        watchdog.enter(tls)
        burn(tls)
        watchdog.leave()
    watchdog.stop()


@pytest.mark.wide
def test_many_short_calls_are_not_cut() -> None:
    """All together use more CPU than one may."""
    watchdog, short, long = CallWatchdog(), Cut(), Cut()
    for _ in range(200):
        watchdog.enter(short)
        sum(range(50_000))
        watchdog.leave()
    assert not short.is_set()
    watchdog.enter(long)
    burn(long)
    watchdog.stop()


@pytest.mark.wide
def test_thread_sleeps_without_handshakes_and_wakes_for_the_next() -> None:
    watchdog, tls = CallWatchdog(), Cut()
    assert "asleep" in repr(watchdog)
    watchdog.enter(tls)
    assert "asleep" not in repr(watchdog)
    watchdog.leave()
    looks = threading.Event()
    while "asleep" not in repr(watchdog):
        looks.wait(0.01)
    watchdog.enter(tls)
    burn(tls)
    watchdog.stop()
