"""A link: one TLS connection with the verdict on its peer. Bytes become messages only under an accepted verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from mypy_extensions import mypyc_attr

from sipmesh.errors import LocalError
from sipmesh.routing.early_refusal import CLIENT_METHODS, SERVER_METHODS, refuse_early
from sipmesh.routing.overload import Demand
from sipmesh.sip.framing import FramingError, Keepalive, MessageReader
from sipmesh.transport.link.deadlines import DOES_NOT_READ, LinkDeadlines
from sipmesh.transport.link.repeated_message import RepeatedMessage
from sipmesh.transport.link.state import LinkInput, LinkState, state_after
from sipmesh.transport.link.writer import LinkWriter
from sipmesh.transport.registry.registered_link import RegisteredLink
from sipmesh.transport.tls.results import TlsError
from sipmesh.transport.watched import READ, WRITE
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence, TlsFacts

if TYPE_CHECKING:
    from sipmesh.errors import RemoteError
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls
    from sipmesh.trust.verdict import Verdict

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"
LOOK_AGAIN_S: Final = 60.0
NOBODYS: Final = Demand()
A_SECOND: Final = 1.0  # a certificate is valid until the end of the second in its notAfter (RFC 5280 4.1.2.5)


# Used for every message: a module constant is faster than an attribute of the enum.
UP: Final = LinkState.UP
DRAINING: Final = LinkState.DRAINING
CLOSED: Final = LinkState.CLOSED


@mypyc_attr(allow_interpreted_subclasses=True)
class LinkEvents:
    """What a link reports to the server layer; a base class for the same reason as `watched.Watched`.

    ``link_down`` comes once for each link that was up and for each link that we opened. It comes at the end of a batch,
    never during a call to the link. ``refused`` comes once for each refused verdict, on accepted and on opened links.
    """

    __slots__ = ()

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Judge the peer; also called for failed handshakes, and again for a peer that refused us late."""
        raise NotImplementedError

    def link_up(self, link: Link) -> None:
        """The link is up: its verdict accepts the peer."""
        raise NotImplementedError

    def arrived(self, link: Link, message: Request | Response) -> None:
        """One whole message has arrived; the callee may close the link."""
        raise NotImplementedError

    def faulty(self, link: Link, fault: FramingError) -> bytes | None:
        """The stream cannot be framed any more; return what to answer before the link closes, or None."""
        raise NotImplementedError

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """The peer of a WebSocket port has asked for no WebSocket, or may not open one; the link closes after the answer."""
        raise NotImplementedError

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """The link has ended; the code of *verdict* is ``refused-by-peer`` if the peer closed before its first SIP byte."""
        raise NotImplementedError

    def refused(self, verdict: Verdict) -> None:
        """We refused a peer, or a peer refused us."""
        raise NotImplementedError


class LinkStage(Protocol):
    """What drives a link until it is up: the handshake of an accepted link, or the dial of an opened link."""

    def ready(self, mask: int) -> None:
        """Act on epoll's *mask*."""

    def due(self, now: float) -> None:
        """Act on the link's alarm."""

    def abandon(self) -> None:
        """Stop, because the link was closed."""


class Opener(Protocol):
    """What opened a link, and has to know if the peer refused the link late."""

    def refused_late(self, link: Link) -> None:
        """The peer closed *link* before its first SIP byte."""


class Link(RegisteredLink):
    """One connection, the verdict on its peer, and the queue of messages to write.

    ``send`` queues and never blocks. All messages that were queued in one batch leave in one TLS write. Where the reactor
    serves a single message, ``send`` writes at once. ``flow`` belongs to the server layer. Times are loop times in seconds.
    """

    __slots__ = (
        "_closed_by_peer",
        "_deadlines",
        "_dirty",
        "_ends",
        "_events",
        "_reactor",
        "_read_in",
        "_reader",
        "_stage",
        "_tls",
        "_trusted",
        "_writer",
        "admitted",
        "alarm",
        "bytes_in",
        "confirmed",
        "demand",
        "evidence",
        "facts",
        "flow",
        "hop",
        "last_in",
        "local",
        "messages_in",
        "messages_out",
        "opener",
        "port",
        "remote",
        "repeated",
        "reserved",
        "state",
        "verdict",
        "why",
    )

    _numbers: ClassVar[int] = 0

    def __init__(self, reactor: Reactor, events: LinkEvents, kind: LinkKind, direction: Direction) -> None:
        Link._numbers += 1
        super().__init__(Link._numbers, kind, direction)
        self.generation = 0
        self.state = LinkState.CONNECTING
        self.verdict: Verdict | None = None
        self.evidence: PeerEvidence | None = None  # kept where a certificate was judged, so that it can be judged again
        self.hop: Hop | None = None
        self.opener: Opener | None = None
        self.port: str = (
            kind  # the name of our port that it came by, or would have: our Via and Record-Route have its number
        )
        self.remote: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.facts = TlsFacts()
        self.confirmed = direction is Direction.ACCEPTED
        self.reserved = False  # for a purpose that both ends agreed on: the pool gives it to nobody else
        self.flow: object | None = None
        self.demand = NOBODYS  # that of its principal, set by the server layer
        self.repeated: RepeatedMessage | None = None  # set by the server layer
        self.why = ""
        now = self.last_in = reactor.loop.time()
        self.bytes_in = self.messages_in = self.messages_out = 0
        self.admitted = 0  # requests of the last chunk that overload control has looked at already
        self.alarm = self._ends = 0.0
        self._reactor, self._events = reactor, events
        limits, accepted = reactor.limits, direction is Direction.ACCEPTED
        self._deadlines = LinkDeadlines(limits, kind, direction, now)
        self._writer = LinkWriter(
            limits.queue_bytes_at_first(kind) if accepted else limits.queue_bytes(kind), reactor.loop.time
        )
        self._read_in = 0  # the reactor's turn in which bytes were last read
        self._tls: PyOpenSslTls | None = None
        self._stage: LinkStage | None = None
        self._reader: MessageReader | None = None
        self._dirty = self._closed_by_peer = self._trusted = False

    def __repr__(self) -> str:
        who = self.peer_name or (self.hop.name if self.hop else "")
        unconfirmed = "" if self.confirmed else " unconfirmed"
        return (
            f"<Link {self.id} {self.direction} {self.state.value}{unconfirmed} {who or 'nobody proved'}"
            f" at {self.remote[0]}:{self.remote[1]}, {self.messages_in} in, {self.messages_out} out,"
            f" {self.pending_out} bytes waiting>"
        )

    @property
    def peer_name(self) -> str:
        """The name of the topology entry that the peer proved; empty on client links and before the verdict."""
        return self.verdict.peer.name if self.verdict is not None and self.verdict.peer is not None else ""

    @property
    def meant(self) -> str:
        """The reference name of a link that we open; empty on an accepted one."""
        return self.hop.name if self.hop is not None else ""

    @property
    def usable(self) -> bool:
        """Whether :meth:`send` accepts messages now."""
        return self.state is not CLOSED and self.state is not DRAINING

    @property
    def blocked(self) -> bool:
        """Whether octets wait that the socket does not accept."""
        return self._writer.blocked_at > 0

    @property
    def pending_out(self) -> int:
        """How many octets wait to be written."""
        return self._writer.pending

    @property
    def bytes_out(self) -> int:
        """How many octets were written."""
        return self._writer.octets

    @property
    def opened_at(self) -> float:
        """The loop time at which the link came up; before that, the time at which it was created."""
        return self._deadlines.opened_at

    @property
    def authenticated(self) -> bool:
        """Whether a user has logged in on this client link."""
        return self._deadlines.authenticated

    @property
    def was_up(self) -> bool:
        """Whether the link has ever held an accepted verdict."""
        return self._trusted

    @property
    def keeps_alive(self) -> bool:
        """Whether the peer has sent a keepalive, or has answered one."""
        return self._deadlines.pings

    def authenticate(self) -> None:
        """A user has logged in: the link may stay, and its queue gets the full size of a client queue."""
        self._deadlines.authenticated = True
        self._writer.bound = self._reactor.limits.queue_bytes(self.kind)

    @property
    def greeting(self) -> bool:
        """Whether the next event is a handshake step; the reactor limits these steps per turn."""
        return self.state is LinkState.HANDSHAKE

    # Setting up: called by the stage

    def begin(self, stage: LinkStage, given: LinkInput) -> None:
        """Let *stage* drive this link from now on; *given* is CONNECT or GREET, whichever the stage starts with."""
        self._stage, self.state = stage, state_after(self.state, given)

    def come_up(self, tls: PyOpenSslTls, evidence: PeerEvidence, verdict: Verdict) -> None:
        """Take over a connection whose handshake is done and whose peer was accepted.

        Only this method lets :meth:`_deliver` deliver bytes. Raises LocalError for a verdict that does not accept.
        """
        if not verdict.accepted or evidence.failure is not None:
            raise LocalError(f"{self!r} cannot be accepted with the verdict {verdict!r}")
        self._stage, self._tls, self._trusted = None, tls, True
        self.facts, self.remote, self.local = evidence.tls, evidence.remote, evidence.local
        self.evidence = evidence if evidence.presented else None
        self.state = state_after(self.state, LinkInput.ACCEPT)
        self._deadlines.opened_at = self.last_in = self._reactor.loop.time()
        names = set(self.names) | verdict.proved
        self.names = tuple(names)
        self._reactor.links.add(self, names)
        self._rely_on(verdict)
        if self._exceeds_peer_limit(verdict):
            self.close("too many links from this peer")
            return
        self._events.link_up(self)
        if self.state is UP:
            self._start(tls)

    def _rely_on(self, verdict: Verdict) -> None:
        """Keep the link up under *verdict*, until a certificate of its path expires or is revoked."""
        self.verdict = verdict
        self._ends = verdict.ends.timestamp() + A_SECOND if verdict.ends is not None else 0.0
        self._reactor.links.relying.set(self, verdict.relied_on)

    def judged(self, verdict: Verdict) -> bool:
        """Apply a new verdict on the peer of a link that is up; return False if it refuses, and the link was closed."""
        if verdict.accepted:
            self._rely_on(verdict)
            self._set_alarm()
            return True
        self.verdict = verdict
        self.close(f"no longer trusted: {verdict.code}")
        return False

    def _exceeds_peer_limit(self, verdict: Verdict) -> bool:
        count = self._reactor.links.accepted_from(verdict.proved, self.kind)
        return self.direction is Direction.ACCEPTED and count > self._reactor.limits.links_accepted_per_peer

    def _start(self, tls: PyOpenSslTls) -> None:
        if self._writer.pending:
            self._mark_dirty()
        if tls.pending():
            self._reactor.read_again(self)
        self._set_alarm()

    def fail(self, why: str, verdict: Verdict | None) -> None:
        """End a link that never came up; ``link_down`` follows at the end of the batch."""
        self._stage = None
        if self.state is not CLOSED:
            self.state, self.why, self.verdict = state_after(self.state, LinkInput.FAIL), why, verdict
            self._reactor.close_later(self)

    def discard(self, verdict: Verdict) -> None:
        """End an accepted link that was refused; no ``link_down`` follows, because no ``link_up`` came."""
        self._stage = None
        self.state, self.why, self.verdict = state_after(self.state, LinkInput.REFUSE), verdict.code, verdict

    # The caller's side

    def has_room(self, size: int) -> bool:
        """Return whether a message of *size* octets from one peer to another may be queued now.

        These messages leave ``queue_reserved_bytes`` free for short responses, ACK and CANCEL. A full queue means that the
        peer does not read at the moment. ``stall_s`` closes its link; a message from somebody else does not.
        """
        state = self.state
        if state is CLOSED or state is DRAINING:
            return False
        writer = self._writer
        return writer.pending + size <= writer.bound or self._makes_room(size, 0)

    def can_hold(self, size: int) -> bool:
        """Return whether a message of *size* octets fits into an empty queue of this link."""
        return size <= self._writer.bound

    def send(self, data: bytes) -> bool:
        """Queue whole messages; return False if the link is closed or drains, or has no room for them."""
        state = self.state
        if state is CLOSED or state is DRAINING:
            return False
        size, writer = len(data), self._writer
        if writer.pending + size > writer.bound and not self._makes_room(size, self._reserved):
            return False
        writer.put(data)
        self.messages_out += 1
        if state is UP and not self._dirty:
            if self._reactor.prompt and self._tls is not None and not writer.blocked_at:
                self._write(self._tls)
            else:
                self._mark_dirty()
        return True

    def ping(self) -> None:
        """Ask the peer for a keepalive (RFC 5626 4.4.1), on a link that we opened; keepalives count as no messages."""
        self._send_keepalive(PING)

    def _send_keepalive(self, keepalive: bytes) -> None:
        if self.send(keepalive):
            self.messages_out -= 1

    def send_or_close(self, data: bytes) -> None:
        """Queue a message that must not be lost silently: if there is no room, close the link, so that both ends start again."""
        if not self.send(data):
            self.close(DOES_NOT_READ)

    @property
    def _reserved(self) -> int:
        """How many octets may wait above the bound; none before a login, because nobody sends to such a link."""
        stranger = self.kind is LinkKind.CLIENT and not self.authenticated
        return 0 if stranger else self._reactor.limits.queue_reserved_bytes

    def _makes_room(self, size: int, reserved: int) -> bool:
        """Return whether *size* octets fit, with *reserved* octets above the bound.

        If they do not fit, write first: one batch may queue much for a peer that reads.
        """
        writer = self._writer
        limit = writer.bound + reserved
        if writer.pending + size > limit and self.state is UP and self._tls is not None and not writer.blocked_at:
            self._write(self._tls)
        return self.state is not CLOSED and writer.pending + size <= limit

    def drain(self) -> None:
        """Accept no new message, write what waits, then close; at the latest after ``drain_s``."""
        state = state_after(self.state, LinkInput.DRAIN)
        if state is CLOSED:
            self.close("drained before the handshake finished")
        elif self.state is not DRAINING:
            self.state = state
            until = self._deadlines.drain_until = self._reactor.loop.time() + self._reactor.limits.drain_s
            self._reactor.set_alarm(self, until)
            self._mark_dirty()

    def close(self, why: str) -> None:
        """Close at once: write what the socket still accepts, and drop the rest. ``link_down`` follows."""
        if self.state is CLOSED:
            return
        stage, self._stage = self._stage, None
        self.state, self.why = state_after(self.state, LinkInput.CLOSE), why
        if stage is not None:
            stage.abandon()
        if self._tls is not None:
            self._reactor.unwatch(self._tls.fileno())
        self._reactor.close_later(self)

    # The reactor's side

    def ready(self, mask: int) -> None:
        """Act on epoll's *mask*."""
        if self._stage is not None:
            self._stage.ready(mask)
            return
        if mask & WRITE and self._tls is not None:
            self._write(self._tls)
        if mask & ~WRITE and self._tls is not None and self._is_open():
            self._read(self._tls)

    def _is_open(self) -> bool:
        return self.state is UP or self.state is DRAINING

    def broken(self, error: Exception) -> None:
        """End this link after a bug of ours; the peer gets no details."""
        self.close(f"bug in this server: {type(error).__name__}")

    def due(self, now: float) -> None:
        """Act on the alarm: close the link if a deadline has passed, otherwise set the next alarm."""
        if self._stage is not None:
            self._stage.due(now)
        elif self._is_open():
            reasons = [why for when, why in self._bounds() if when <= now]
            if reasons:
                self.close(reasons[0])
            elif self._ends and self.evidence is not None and self._ends <= self._reactor.wall_clock():
                self.judged(self._events.judge(self, self.evidence))  # another path may still be valid
            else:
                self._set_alarm()

    def _set_alarm(self) -> None:
        times = [when for when, _ in self._bounds()]
        if self._ends:
            times.append(self._until_end())
        if times:  # at most LOOK_AGAIN_S ahead: otherwise the heap keeps links that closed long ago
            self._reactor.set_alarm(self, min(*times, self._reactor.loop.time() + LOOK_AGAIN_S))

    def _until_end(self) -> float:
        """Return the loop time at which the first certificate of the path expires.

        Certificates expire by the wall clock; alarms follow the loop clock, which nobody sets. So the result is true only
        until somebody sets the wall clock, and each alarm computes it again. An alarm comes at least every ``LOOK_AGAIN_S``:
        after a jump of the wall clock, a link may outlive its certificate by that time, and otherwise by nothing. A link that
        a wrong clock has closed is opened again when it is needed.
        """
        left = self._ends - self._reactor.wall_clock()
        if left <= 0:  # the verdict accepted the certificate in its last second
            left = A_SECOND
        return self._reactor.loop.time() + left

    def _bounds(self) -> list[tuple[float, str]]:
        return self._deadlines.all(self._writer.blocked_at, self.last_in)

    # Reading

    def _read(self, tls: PyOpenSslTls) -> None:
        """Deliver what has arrived, up to ``turn_bytes_per_link``.

        A link that was read in the last turn as well has more data in most cases: then reading until nothing is left costs
        less than another turn. On a quiet link the extra read costs more. A read that does not fill the buffer has emptied TLS.
        """
        reactor = self._reactor
        limit, total, full = reactor.limits.turn_bytes(self.kind), 0, False
        busy = reactor.turns <= self._read_in + 1
        if busy:
            reactor.prompt = False
        self._read_in = reactor.turns
        while total < limit:
            try:
                chunk = tls.read(reactor.room)
            except TlsError as lost:
                self._ended(str(lost))
                return
            if chunk is None:
                self._ended("closed by the peer")
                return
            if not chunk:
                break
            count = len(chunk)
            total += count
            full = count == reactor.room.size
            if self.repeated is None or not self._is_repeated(self.repeated, chunk):
                self._deliver(chunk)
            if self.state is not UP or not (busy or full):
                break
        self.bytes_in += total
        self.last_in = reactor.now
        if total >= limit:
            reactor.probe.left(self.unread(), limit, reactor.turns, client=self.kind is LinkKind.CLIENT)
        if full and self._is_open() and tls.pending():
            reactor.read_again(self)

    def unread(self) -> int:
        """Tell how many octets wait in the socket."""
        return self._tls.unread() if self._tls is not None else 0

    def _deliver(self, chunk: bytes) -> None:
        """Frame *chunk* into messages: no byte becomes a message unless this link came up under an accepted verdict."""
        if not self._trusted:
            raise LocalError(f"{self!r} has bytes but no accepted verdict")
        self.confirmed = True
        if self._reader is None:
            expects = Keepalive.PING if self.direction is Direction.ACCEPTED else Keepalive.PONG
            self._reader = MessageReader(self._reactor.limits.reading(self.kind), expects=expects)
        before = self.messages_in
        if self._reactor.overload.active:
            chunk = self._refuse_early(chunk, self._reader)
        try:
            self._reader.add(chunk)
            while (item := self._reader.next()) is not None:
                if self._reader.unread:
                    self._reactor.prompt = False
                if isinstance(item, Keepalive):
                    self._keepalive(item)
                else:
                    self.messages_in += 1
                    self._events.arrived(self, item)
                if not self._is_open():
                    return
        except FramingError as fault:
            self._unframeable(fault)
            return
        if self._reader.unfinished:
            self._waits_for_the_rest(len(chunk), anew=self.messages_in != before)
        else:
            self._deadlines.begun_at = 0.0

    def _is_repeated(self, repeated: RepeatedMessage, chunk: bytes) -> bool:
        """Tell whether *chunk* is a message that was read before, and is answered."""
        if self._reader is None or not self._reader.is_empty or not repeated.serves(self, chunk):
            return False
        self.messages_in += 1
        return True

    def _refuse_early(self, chunk: bytes, reader: MessageReader) -> bytes:
        """Answer the new requests in *chunk* that are refused because of overload, and give the rest."""
        self.admitted = 0
        if reader.unread or reader.unfinished:
            return chunk
        host, port = self.remote
        control = self._reactor.overload
        methods = CLIENT_METHODS if self.kind is LinkKind.CLIENT else SERVER_METHODS
        result = refuse_early(chunk, control, self.demand, methods, host.encode(), str(port).encode())
        self.admitted = result.admitted
        if result.refused:
            control.refused += result.refused
            self.messages_in += result.refused
            self.messages_out += result.refused - 1  # sending counts one
            self.send(result.answers)
        return result.rest

    def _waits_for_the_rest(self, count: int, *, anew: bool) -> None:
        """Set the deadline of a message that has partly arrived, the last *count* octets included; *anew* restarts it.

        The message has ``message_s``, plus one second for each ``message_bytes_per_s`` octets that have arrived.
        """
        deadlines = self._deadlines
        if anew or not deadlines.begun_at:
            deadlines.begun_at, deadlines.begun_octets = self._reactor.now, 0
            self._set_alarm()
        deadlines.begun_octets += count

    def _keepalive(self, item: Keepalive) -> None:
        """Answer a double CRLF with a single one, as a server MUST (RFC 5626 4.4.1)."""
        if not self._deadlines.pings:
            self._deadlines.pings = True
            self._set_alarm()
        if item is Keepalive.PING:
            self._send_keepalive(PONG)

    def _unframeable(self, fault: FramingError) -> None:
        answer = self._events.faulty(self, fault)
        if answer:
            self.send(answer)
        self.close(f"unframeable: {fault}")

    def _ended(self, why: str) -> None:
        self._closed_by_peer = True
        self.close(why)

    # Writing

    def _mark_dirty(self) -> None:
        self._dirty = True
        self._reactor.dirty(self)

    def flush(self) -> None:
        """Write all that was queued in this batch at once."""
        self._dirty = False
        if self._tls is None or not self._is_open():
            return
        if not self._writer.blocked_at:
            self._write(self._tls)
        if self.state is DRAINING and not self._writer.pending:
            self.close("drained")

    def _write(self, tls: PyOpenSslTls) -> None:
        """Write until nothing waits or the socket is full."""
        writer = self._writer
        blocked = writer.blocked_at > 0
        try:
            done = writer.write(tls)
        except TlsError as lost:
            self._broke_while_writing(tls, lost)
            return
        if done:
            if blocked:
                self._wait_for(tls, READ)
            if self.state is DRAINING:
                self.close("drained")
        elif not blocked:
            self._set_alarm()
            self._wait_for(tls, READ | WRITE)

    def _wait_for(self, tls: PyOpenSslTls, mask: int) -> None:
        if self._is_open():
            self._reactor.rewatch(tls.fileno(), mask)

    def _broke_while_writing(self, tls: PyOpenSslTls, lost: TlsError) -> None:
        """Read the alert that the peer may have sent before it closed: an alert is the better reason."""
        why = str(lost)
        try:
            while tls.read(self._reactor.room):
                pass
        except TlsError as failed:
            why = str(failed) if failed.alert else why
        self._ended(why)

    # Ending

    def close_socket(self) -> None:
        """Close the socket after the batch, and report the end to the server layer."""
        refused_us = self._closed_by_peer and not self.confirmed and self.evidence is not None
        tls, self._tls = self._tls, None
        if tls is not None:
            self._write_rest(tls)
            self._leave(tls)
        self._writer.clear()
        self._reader = self.repeated = None
        self.generation = 0
        self._reactor.links.remove(self)
        if self._trusted or self.direction is Direction.OPENED:
            self._tell_end(refused_us=refused_us)

    def _leave(self, tls: PyOpenSslTls) -> None:
        """Close the connection; all that the socket accepts has been written."""
        tls.close()

    def _write_rest(self, tls: PyOpenSslTls) -> None:
        """Write what the socket accepts, such as the answer to the message for which this link is closed."""
        if not self._closed_by_peer and not self._writer.blocked_at and self._writer.pending:
            self._write(tls)

    def _tell_end(self, *, refused_us: bool) -> None:
        try:
            if refused_us:
                self._refused_late()
        finally:
            self._events.link_down(self, self.why, self.verdict)

    def _refused_late(self) -> None:
        """Judge a peer that closed before its first SIP byte as one that refused us: TLS 1.3 reports a refusal late."""
        if self.evidence is None:
            return
        text = f"the peer closed the link before any SIP byte came back: {self.why}"
        failure = HandshakeFailure("refused-by-peer", text)
        self.verdict = self._events.judge(self, replace(self.evidence, failure=failure))
        self._events.refused(self.verdict)
        if self.opener is not None:
            self.opener.refused_late(self)
