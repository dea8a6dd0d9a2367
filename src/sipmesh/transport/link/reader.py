"""What arrives on one link: octets become messages only under an accepted verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.routing.early_refusal import CLIENT_METHODS, SERVER_METHODS, EarlyRefusal, refuse_early
from sipmesh.sip.framing import FramingError, Keepalive, MessageReader
from sipmesh.transport.link.deadlines import TOO_MANY_KEEPALIVES
from sipmesh.transport.tls.results import TlsError
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.sip.framing import ReadLimits
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.link.deadlines import LinkDeadlines
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.link.repeated_message import RepeatedMessage
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tap import Tap
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls

CLOSED_BY_PEER: Final = "closed by the peer"
LEAST_READ: Final = 256
"""Octets that each read counts as, at least, within the octets of a turn."""

LEAST_ASKED: Final = 4_096
"""Octets that are read from the socket at once, at least, and that a read without a whole record counts as."""

MOST_TOGETHER: Final = 16
"""Messages that are framed before the first of them is handled, and that are handled before the turn may end."""

PONG: Final = Keepalive.PONG.value


class LinkReader:
    """Reads one link, turn after turn, frames what it reads, and gives each message to *events*.

    It keeps the octets of an unfinished message. Each call gets the link, which owns the reader.
    """

    __slots__ = ("_chunks", "_deadlines", "_events", "_is_paused", "_messages", "_reactor", "_turn")

    def __init__(self, reactor: Reactor, events: LinkEvents, deadlines: LinkDeadlines) -> None:
        self._reactor, self._events, self._deadlines = reactor, events, deadlines
        self._turn = 0  # the reactor's turn in which octets were last read
        self._messages: MessageReader | None = None
        self._chunks: list[bytes] = []  # of one turn; empty between turns
        self._is_paused = False  # messages wait for the next turn

    def limits(self, link: Link) -> ReadLimits:
        """Return the limits of one message on *link* now: those of a stranger until its user has logged in."""
        limits = self._reactor.limits
        if self._deadlines.authenticated or link.direction is Direction.OPENED:
            return limits.reading(link.kind)
        return limits.reading_at_first(link.kind)

    def logged_in(self, link: Link) -> None:
        """Apply the limits of a user from now on; a message that has begun goes on."""
        if self._messages is not None:
            self._messages.limits = self.limits(link)

    def clear(self) -> None:
        """Drop an unfinished message."""
        self._messages = None

    def read(self, link: Link, tls: PyOpenSslTls) -> str:
        """Deliver what has arrived, up to `Limits.turn_bytes`; return why the connection has ended, or nothing.

        A read counts as `LEAST_READ` octets at least: a record of one octet costs nearly as much time as a message.

        All records are decrypted before the first message is framed: that is quicker than to change between the two.
        """
        reactor = self._reactor
        if reactor.turns == self._turn:  # the rest was read first, and the socket is reported again
            return ""
        if reactor.turns <= self._turn + 1:  # it was read in the last turn too: others can share what it causes
            reactor.prompt = False
        self._turn = reactor.turns
        if self._is_paused and not self._goes_on(link):
            return ""
        limit = reactor.limits.turn_bytes(link.kind)
        left, ended = self._collect(tls, limit)
        link.last_in = reactor.now
        if self._chunks:
            chunks, self._chunks = self._chunks, []
            self._deliver_all(link, chunks)
        if self._is_paused:
            return ""  # if the peer has closed its end, the next read says so again
        if ended:
            return ended
        if left <= 0:
            reactor.probe.left(tls.unread(), limit, reactor.turns, client=link.kind is LinkKind.CLIENT)
        if tls.has_more and link.is_open and tls.pending():
            reactor.read_again(link)
        return ""

    def _goes_on(self, link: Link) -> bool:
        """Handle the messages that the last turn had no time for; tell whether the link may be read on."""
        self._is_paused = False
        return self._messages is None or (self._handle_all(link, self._messages) and not self._is_paused)

    def _collect(self, tls: PyOpenSslTls, left: int) -> tuple[int, str]:
        """Decrypt what has come, up to *left* octets; return how many are left, and why the connection has ended, or nothing."""
        room, chunks = self._reactor.room, self._chunks
        while left > 0:
            try:
                chunk = tls.read(room, max(LEAST_ASKED, left))
            except TlsError as lost:
                return left, str(lost)
            if chunk is None:
                return left, CLOSED_BY_PEER
            if chunk:
                left -= max(LEAST_READ, len(chunk))
                chunks.append(chunk)
            else:
                left -= LEAST_ASKED
            if not tls.has_more:
                break
        return left, ""

    def _deliver_all(self, link: Link, chunks: list[bytes]) -> None:
        """Deliver *chunks*, each of which has come in one record."""
        chunk = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        link.bytes_in += len(chunk)
        if link.repeated is None or not self._is_repeated(link, link.repeated, chunk):
            self.deliver(link, chunk)

    def _is_repeated(self, link: Link, repeated: RepeatedMessage, chunk: bytes) -> bool:
        """Tell whether *chunk* is a message that was read before, and is answered."""
        if self._messages is None or not self._messages.is_empty or self._reactor.tap is not None:
            return False
        if not repeated.serves(link, chunk):
            return False
        link.messages_in += 1
        return True

    def deliver(self, link: Link, chunk: bytes) -> None:
        """Frame *chunk* into messages: no octet becomes a message unless the link came up under an accepted verdict."""
        if not link.peer.accepted:
            raise LocalError(f"{link!r} has octets but no accepted verdict")
        link.peer.confirmed = True
        messages = self._messages
        if messages is None:
            expects = Keepalive.PING if link.direction is Direction.ACCEPTED else Keepalive.PONG
            messages = MessageReader(self.limits(link), expects=expects)
            self._messages = messages
        before = link.messages_in
        if self._reactor.overload.active:
            chunk = self._refuse_early(link, chunk, messages)
        messages.add(chunk)
        if not self._handle_all(link, messages) or self._is_paused:
            return
        if messages.unfinished:
            self._wait_for_the_rest(link, len(chunk), again=link.messages_in != before)
        else:
            self._deadlines.begun_at = 0.0

    def _handle_all(self, link: Link, messages: MessageReader) -> bool:  # noqa: C901 - a call for each message costs
        """Give all that is whole to the server layer; return whether the link still delivers then.

        All messages are framed before the first is handled: that is quicker than to change between the two. On the link of a
        stranger they are not, since the login changes the limits of the messages behind it.
        """
        most = MOST_TOGETHER if self._deadlines.authenticated or link.kind is not LinkKind.CLIENT else 1
        items: list[Request | Response | Keepalive] = []
        fault: FramingError | None = None
        while True:
            try:
                while len(items) < most and (item := messages.next()) is not None:
                    items.append(item)
            except FramingError as wrong:
                fault = wrong
            if len(items) > 1 or messages.unread:
                self._reactor.prompt = False
            if self._reactor.tap is not None:
                self._show(self._reactor.tap, link, items)
            for found in items:
                if isinstance(found, Keepalive):
                    self._keepalive(link, found)
                else:
                    link.messages_in += 1
                    self._events.arrived(link, found)
                if not link.is_open:
                    return False
            if fault is not None:
                self._unframeable(link, fault)
                return False
            if len(items) < most or self._pauses(link, messages):
                return True
            items.clear()

    def _show(self, tap: Tap, link: Link, items: list[Request | Response | Keepalive]) -> None:
        for item in items:
            if not isinstance(item, Keepalive):
                tap.received(link, item)

    def _pauses(self, link: Link, messages: MessageReader) -> bool:
        """Leave the rest of what was read to the next turn, if this one is over."""
        self._is_paused = messages.unread and self._reactor.is_turn_over
        if self._is_paused:
            self._reactor.read_again(link)
        return self._is_paused

    def _refuse_early(self, link: Link, chunk: bytes, messages: MessageReader) -> bytes:
        """Answer the new requests in *chunk* that are refused because of overload, and give the rest."""
        link.admitted = 0
        if messages.unread or messages.unfinished:
            return chunk
        result = self._refusal(link, chunk)
        if result.refused:
            self._send_refusals(link, result)
        return result.rest

    def _refusal(self, link: Link, octets: bytes) -> EarlyRefusal:
        """Decide which new requests in *octets* are refused because of overload, and count them."""
        host, port = link.remote
        control = self._reactor.overload
        methods = CLIENT_METHODS if link.kind is LinkKind.CLIENT else SERVER_METHODS
        result = refuse_early(octets, control, link.demand, methods, host.encode(), str(port).encode())
        link.admitted = result.admitted
        control.refused += result.refused
        link.messages_in += result.refused
        return result

    def _send_refusals(self, link: Link, result: EarlyRefusal) -> None:
        link.messages_out += result.refused - 1  # sending counts one
        link.send(result.answers)

    def _wait_for_the_rest(self, link: Link, count: int, *, again: bool) -> None:
        """Set the deadline of a message that has partly arrived, the last *count* octets included; *again* restarts it."""
        if self._deadlines.wait_for_the_rest(count, self._reactor.now, again=again):
            link.set_alarm()

    def _keepalive(self, link: Link, item: Keepalive) -> None:
        """Answer a double CRLF with a single one, as a server MUST (RFC 5626 4.4.1)."""
        if not self._takes_keepalive(link):
            return
        self._deadlines.keepalives += 1
        if self._deadlines.keepalives == 1:
            link.set_alarm()
        if item is Keepalive.PING:
            link.send_octets(self._pong())

    def _takes_keepalive(self, link: Link) -> bool:
        """Count a keepalive, and close *link* if its peer sends too many: they cost time, and overload control sees none."""
        if self._deadlines.takes_keepalive(self._reactor.now):
            return True
        self._too_many_keepalives(link)
        return False

    def _too_many_keepalives(self, link: Link) -> None:
        link.close(TOO_MANY_KEEPALIVES)

    def _pong(self) -> bytes:
        """Return the octets that answer a keepalive."""
        return PONG

    def _unframeable(self, link: Link, fault: FramingError) -> None:
        answer = self._events.faulty(link, fault)
        if answer:
            link.send(answer)
        link.close(f"unframeable: {fault}")
