"""One connection to the store: commands go out, replies come back in their order, and news of changes in between (RESP3).

The octets are written and read by asyncio on the loop, and parsed by hiredis. Nothing here waits.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from sipmesh.errors import OperatorError

ANSWER_S: Final = 2.5
"""How long a reply may take; then the connection is closed. It is less than a lookup waits (`binding_lookups`)."""

LARGEST_REPLY: Final = 8 << 20
"""Octets of one reply. The rows of a user have 20 KiB at most, and the leases of a pool less."""

Reply = Any
"""What a command has brought: bytes, numbers, lists and maps of them, or an exception, which is not raised."""

Then = Callable[[Reply], None]


class StoreConnection(asyncio.Protocol):
    """A connection. *clock* gives seconds of the loop; *told* gets each push. `lost` is done with the reason of the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import hiredis  # an extra: only organisations with such a store install it

        self._loop = loop
        self._reader = hiredis.Reader(notEnoughData=...)
        self._push: type[list[Reply]] = hiredis.PushNotification
        self._malformed: type[Exception] = hiredis.HiredisError
        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._awaited: deque[tuple[float, Then]] = deque()
        self._octets = 0
        self._poll = select.poll()
        self._transport: asyncio.Transport | None = None
        self._reason = "the store has closed the connection"
        self.lost: asyncio.Future[str] = loop.create_future()
        self.told: Callable[[Sequence[Reply]], None] = lambda _push: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket (asyncio)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio gives no other one here
        self._transport = transport
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def send(self, commands: Sequence[tuple[tuple[str | float | bytes, ...], Then]]) -> None:
        """Send *commands* in one piece; each is a list of arguments, and what is called with its reply."""
        if self._transport is None or self._transport.is_closing():
            for _, then in commands:
                then(ConnectionError(self._reason))
            return
        due = self._loop.time() + ANSWER_S
        self._awaited.extend((due, then) for _, then in commands)
        self._transport.write(b"".join([self._pack(words) for words, _ in commands]))

    async def call(self, *words: str | float | bytes) -> Reply:
        """Send one command and wait for its reply; raises `OperatorError` for an error, or after `ANSWER_S`."""
        answered: asyncio.Future[Reply] = self._loop.create_future()
        self.send([(words, lambda reply: None if answered.done() else answered.set_result(reply))])
        try:
            async with asyncio.timeout(ANSWER_S):
                reply = await answered
        except TimeoutError:
            raise OperatorError(f"no answer within {ANSWER_S:g} s") from None
        if isinstance(reply, Exception):
            raise OperatorError(str(reply))
        return reply

    def has_unread(self) -> bool:
        """Tell whether octets have come that were not read yet: they may tell of a change."""
        return bool(self._poll.poll(0))

    def is_late(self, now: float) -> bool:
        """Tell whether a reply is overdue."""
        return bool(self._awaited) and self._awaited[0][0] < now

    def data_received(self, data: bytes) -> None:
        """Take octets (asyncio), and give each reply to its request."""
        self._octets += len(data)
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not ... and self._accepts(reply):
                self._octets = 0
        except (MalformedReplyError, self._malformed) as wrong:
            self.abort(f"the store has sent a reply that does not fit: {wrong}")
        if self._octets > LARGEST_REPLY:
            self.abort(f"the store has sent a reply of more than {LARGEST_REPLY >> 20} MiB")

    def _accepts(self, reply: Reply) -> bool:
        """Hand on one reply or push; False for one without a command."""
        if isinstance(reply, self._push):
            self.told(reply)
            return True
        if not self._awaited:
            self.abort("the store has sent a reply without a command")
            return False
        self._awaited.popleft()[1](reply)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Resume all tasks that wait (asyncio)."""
        if exc is not None:
            self._reason = str(exc)
        awaited, self._awaited = self._awaited, deque()
        for _, then in awaited:
            then(ConnectionError(self._reason))
        if not self.lost.done():
            self.lost.set_result(self._reason)

    def abort(self, reason: str) -> None:
        """Close at once; requests that wait for a reply fail with *reason*."""
        if self._transport is not None and not self._transport.is_closing():
            self._reason = reason
            self._transport.abort()

    def close(self) -> None:
        """Close after what was sent."""
        if self._transport is not None:
            self._transport.close()


class MalformedReplyError(Exception):
    """A reply has another shape than its command has."""
