"""A server that is overloaded for as long as a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sipmesh.server.proxy.flow import MOST_RESPONSES

if TYPE_CHECKING:
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.sip.message import Request
    from support.peer import Peer


@contextmanager
def overload(node: RunningServer, loss: float) -> Iterator[OverloadControl]:
    """An overload that stays as it is until the end."""
    control = node.reactor.overload
    control.active, control.loss, control.interval_s = True, loss, 1e9
    control._stepped_at = 1e9
    yield control
    control.active = False


async def ring_again(callee: Peer, asked: Request, caller: Peer) -> None:
    """Send two provisional responses to *asked* beyond those that count for no sender, and wait until *caller* has them all."""
    for number in range(MOST_RESPONSES + 2):
        await callee.reply(asked, 180 + number % 2)
    for _ in range(MOST_RESPONSES + 2):
        await caller.receive()
