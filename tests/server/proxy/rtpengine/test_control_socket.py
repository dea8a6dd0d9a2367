"""The control socket of rtpengine: replies find who waits, and those that are late, foreign or malformed change nothing."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.media.bridging.ng import LONGEST_COMMAND, query
from sipmesh.server.proxy.rtpengine.control_socket import MOST_WAITING, AwaitedReply, ControlSocket, Fault
from support.running import on_loop, until

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")


class Awaited(AwaitedReply):
    def __init__(self) -> None:
        self.outcome: asyncio.Future[tuple[bytes, Fault | None]] = asyncio.get_running_loop().create_future()

    def replied(self, sdp: bytes, fault: Fault | None) -> None:
        self.outcome.set_result((sdp, fault))


def control_at(port: int) -> ControlSocket:
    pool: Any = SimpleNamespace(value=SimpleNamespace(view=SimpleNamespace(pool=SimpleNamespace(rtpengine=port))))
    log: Any = SimpleNamespace(debug=lambda *_a, **_f: None, warning=lambda *_a, **_f: None)
    return ControlSocket(pool, asyncio.get_running_loop(), "c", log)


def played() -> socket.socket:
    """A socket in place of rtpengine."""
    found = socket.socket(type=socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    found.settimeout(10)
    return found


@on_loop
async def test_reply_with_the_right_cookie_alone_counts() -> None:
    with played() as rtpengine:
        control, awaited = control_at(rtpengine.getsockname()[1]), Awaited()
        control.ask(query("k"), awaited)
        asked, sender = await asyncio.to_thread(rtpengine.recvfrom, 2_000)
        for reply in (
            b"c9 d3:sdp3:bad6:result2:oke",
            b"c1",
            b"c1 i7e",
            b"",
            b"c1 d3:sdp4:good6:result2:oke",
            b"c1 dee",
        ):
            rtpengine.sendto(reply, sender)
        assert await awaited.outcome == (b"good", None)
        assert asked.startswith(b"c1 d7:call-id1:k")
        control.close()


@on_loop
async def test_command_is_sent_again_with_its_cookie() -> None:
    with played() as rtpengine:
        control, awaited = control_at(rtpengine.getsockname()[1]), Awaited()
        control.ask(query("k"), awaited)
        first, _ = await asyncio.to_thread(rtpengine.recvfrom, 2_000)
        again, sender = await asyncio.to_thread(rtpengine.recvfrom, 2_000)
        assert first == again
        rtpengine.sendto(b"c1 d12:error-reason4:full6:result5:errore", sender)
        assert (await awaited.outcome)[1] == Fault("full", is_told=True)
        control.close()


@on_loop
async def test_port_without_rtpengine_is_a_fault_after_the_last_try() -> None:
    with played() as taken:
        port = taken.getsockname()[1]
    control, awaited = control_at(port), Awaited()
    control.ask(query("k"), awaited)
    assert (await awaited.outcome)[1] == Fault(f"rtpengine does not answer at 127.0.0.1:{port}")
    assert control.fault == f"rtpengine does not answer at 127.0.0.1:{port}"
    control.close()


@pytest.mark.parametrize(("port", "key"), [(0, "k"), (9, "k" * LONGEST_COMMAND)])
@on_loop
async def test_command_that_cannot_be_sent_is_a_fault_at_once(port: int, key: str) -> None:
    control, awaited = control_at(port), Awaited()
    control.ask(query(key), awaited)
    assert awaited.outcome.done()
    control.close()


@on_loop
async def test_sender_with_many_commands_leaves_room_for_others() -> None:
    """Who is alone gets half of it; the next one half of the rest, and so on. This server itself may use all of it."""
    with played() as rtpengine:
        control = control_at(rtpengine.getsockname()[1])
        for sender, most in (("trunk", MOST_WAITING // 2), ("other", MOST_WAITING // 4)):
            outcomes = [Awaited() for _ in range(most + 1)]
            for awaited in outcomes:
                control.ask(query("k"), awaited, sender)
            assert [awaited.outcome.done() for awaited in outcomes] == [*most * [False], True]
        assert control.waiting == MOST_WAITING // 4 * 3
        while control.has_room():
            control.ask(query("k"), None)
        assert control.waiting == MOST_WAITING
        control.close()
        assert control.waiting == 0


@on_loop
async def test_room_of_a_sender_is_free_after_the_reply() -> None:
    with played() as rtpengine:
        control, awaited = control_at(rtpengine.getsockname()[1]), Awaited()
        control.ask(query("k"), awaited, "trunk")
        _, sender = await asyncio.to_thread(rtpengine.recvfrom, 2_000)
        rtpengine.sendto(b"c1 d3:sdp4:good6:result2:oke", sender)
        await awaited.outcome
        assert (control.waiting, control._of_senders) == (0, {})
        control.close()


@on_loop
async def test_look_finds_that_rtpengine_is_away_and_that_it_is_back() -> None:
    with played() as rtpengine:
        control = control_at(rtpengine.getsockname()[1])
        control.is_away = True
        control.look()
        asked, sender = await asyncio.to_thread(rtpengine.recvfrom, 2_000)
        rtpengine.sendto(b"c1 d6:result4:ponge", sender)
        await until(lambda: not control.fault)
        assert asked == b"c1 d7:command4:pinge"
        control.close()
