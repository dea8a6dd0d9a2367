"""A message that is answered from its octets: it is offered between two messages only, and counted like a parsed message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.link.repeated_message import RepeatedMessage
from sipmesh.trust.evidence import LinkKind
from transport.world import Node, Peer, bodies, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


class Known(RepeatedMessage):
    """Answers one message, and remembers what it was offered."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.offered: list[bytes] = []

    def serves(self, link: Link, octets: bytes) -> bool:
        """Answer the message that it knows."""
        self.offered.append(octets)
        return octets == self.octets and link.send(request("answered"))


@on_loop
async def test_known_message_is_answered_and_others_are_parsed(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as node:
        peer = await Peer.dial(node.listen(LinkKind.CLIENT), node.authority, there)
        await node.heard.until(lambda: node.heard.up)
        octets, new = request("known"), request("new")
        link, known = node.heard.up[-1], Known(octets)
        link.repeated = known
        async with peer:
            await peer.send(new)  # the first message of a link is always parsed
            await node.heard.until(lambda: bodies(node.heard) == ["new"])
            await peer.send(octets)
            assert b"answered" in await peer.receive()
            await peer.send(new)
            await node.heard.until(lambda: bodies(node.heard) == ["new", "new"])
            await peer.send(octets[:50])
            await node.heard.until(lambda: known.offered[-1] == octets[:50])
            await peer.send(octets[50:] + octets)
            await node.heard.until(lambda: bodies(node.heard) == ["new", "new", "known", "known"])
        assert known.offered == [octets, new, octets[:50]]
        assert (link.messages_in, link.messages_out) == (5, 1)
        await node.heard.until(lambda: link.repeated is None)


def test_base_serves_nothing() -> None:
    with pytest.raises((NotImplementedError, TypeError)):  # compiled code takes no None for a link
        RepeatedMessage().serves(None, b"")  # type: ignore[arg-type]
