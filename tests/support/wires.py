"""The two ends of a link without a network: what one end sends is kept until the test hands it to the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from sipmesh.sip.framing import Keepalive, MessageReader, ReadLimits
from sipmesh.sip.message import Request, Response
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer

LIMITS = ReadLimits(body=5_000_000)


@dataclass(eq=False)
class Wire:
    """What one end needs of a link: it sends bytes, and *peer* was proved on it."""

    peer: TrustedPeer | None = None
    direction: Direction = Direction.OPENED
    drained: bool = False
    ahead_s: float | None = None
    sent: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def pending_out(self) -> int:
        """How much waits to be written."""
        return len(self.sent)

    @property
    def verdict(self) -> SimpleNamespace:
        """What a verdict says of the peer."""
        return SimpleNamespace(peer=self.peer, code=Code.ACCEPTED)

    def send(self, message: bytes) -> bool:
        """Keep a message."""
        self.sent += message
        return True

    def send_or_close(self, message: bytes) -> None:
        """Keep a message."""
        self.send(message)

    def drain(self) -> None:
        """Note that nothing more is sent."""
        self.drained = True

    @property
    def link(self) -> Link:
        """The same, for a test that takes a link."""
        return cast("Link", self)

    def taken(self) -> list[Request | Response]:
        """Give the messages that were sent since the last call, as the other end reads them."""
        messages = list(MessageReader(LIMITS).feed(bytes(self.sent)))
        self.sent.clear()
        return [message for message in messages if not isinstance(message, Keepalive)]
