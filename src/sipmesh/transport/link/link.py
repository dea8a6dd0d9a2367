"""A link: one TLS connection with the verdict on its peer. Bytes become messages here, and only under a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from mypy_extensions import mypyc_attr

from sipmesh.errors import LocalError
from sipmesh.routing.early_refusal import CLIENT_METHODS, SERVER_METHODS, refuse_early
from sipmesh.sip.framing import FramingError, Keepalive, MessageReader
from sipmesh.transport.link.deadlines import DOES_NOT_READ, LinkDeadlines
from sipmesh.transport.link.state import LinkInput, LinkState, state_after
from sipmesh.transport.link.writer import LinkWriter
from sipmesh.transport.registry.registered_link import RegisteredLink
from sipmesh.transport.tls.results import TlsError
from sipmesh.transport.watched import READ, WRITE
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence, TlsFacts

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.reactor import Reactor
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls
    from sipmesh.trust.verdict import Verdict

PONG: Final = b"\r\n"
LOOK_AGAIN_S: Final = 60.0
A_SECOND: Final = 1.0  # what certificates count in: one is good to the last moment of its notAfter's second


# Looked at for every message.
UP: Final = LinkState.UP
DRAINING: Final = LinkState.DRAINING
CLOSED: Final = LinkState.CLOSED


@mypyc_attr(allow_interpreted_subclasses=True)
class LinkEvents:
    """What the server layer hears of its links; a base for the reason that `watched.Watched` is one.

    ``link_down`` comes once for every link that was up and for every link that we opened, at the end of a batch and
    never from within a call to the link. ``refused`` comes once for every refused verdict, accepted or opened.
    """

    __slots__ = ()

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Decide about the peer; also called for handshakes that failed, and again for a peer that refused us late."""
        raise NotImplementedError

    def link_up(self, link: Link) -> None:
        """The link holds an accepted verdict."""
        raise NotImplementedError

    def arrived(self, link: Link, message: Request | Response) -> None:
        """One whole message; the link may be closed from here."""
        raise NotImplementedError

    def faulty(self, link: Link, fault: FramingError) -> bytes | None:
        """The stream cannot be framed any more: what to answer before it is closed, if anything."""
        raise NotImplementedError

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """The link is gone; *verdict* says ``refused-by-peer`` if its peer closed it before its first SIP byte."""
        raise NotImplementedError

    def refused(self, verdict: Verdict) -> None:
        """A peer was refused, or has refused us."""
        raise NotImplementedError


class LinkStage(Protocol):
    """What drives a link until it is up: an accepted handshake, or the dialling of candidates."""

    def ready(self, mask: int) -> None:
        """Act on epoll's *mask*."""

    def due(self, now: float) -> None:
        """Act on the link's alarm."""

    def abandon(self) -> None:
        """Give up, because the link was closed."""


class Opener(Protocol):
    """Who opened a link, and wants to know if the peer refused it late."""

    def refused_late(self, link: Link) -> None:
        """The peer closed *link* before its first SIP byte."""


class Link(RegisteredLink):
    """One connection, its peer's verdict, and what waits to be written.

    ``send`` queues and never blocks; all that was queued in one batch leaves in one TLS write, and at once where the reactor
    serves one message alone. ``flow`` belongs to the server layer. Times are loop times in seconds.
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
        "evidence",
        "facts",
        "flow",
        "hop",
        "last_in",
        "local",
        "messages_in",
        "messages_out",
        "opener",
        "remote",
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
        self.evidence: PeerEvidence | None = None  # kept where a certificate was judged, to judge it again
        self.hop: Hop | None = None
        self.opener: Opener | None = None
        self.remote: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.facts = TlsFacts()
        self.confirmed = direction is Direction.ACCEPTED
        self.reserved = False  # for what its two ends have agreed on: nobody else is given it
        self.flow: object | None = None
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
        self._read_in = 0  # the reactor's turn in which bytes were read last
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
        """The name of the topology entry that the peer proved to be; empty on client links and before the verdict."""
        return self.verdict.peer.name if self.verdict is not None and self.verdict.peer is not None else ""

    @property
    def meant(self) -> str:
        """The reference name of a link that we open; empty on an accepted one."""
        return self.hop.name if self.hop is not None else ""

    @property
    def usable(self) -> bool:
        """Whether :meth:`send` takes anything now."""
        return self.state is not CLOSED and self.state is not DRAINING

    @property
    def blocked(self) -> bool:
        """Whether something waits that the socket does not take."""
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
        """When the link came up; before that, when it was made."""
        return self._deadlines.opened_at

    @property
    def authenticated(self) -> bool:
        """Whether a user has logged in on this link of a client."""
        return self._deadlines.authenticated

    def authenticate(self) -> None:
        """A user has logged in: the link may stay, and its queue holds what a client's may hold."""
        self._deadlines.authenticated = True
        self._writer.bound = self._reactor.limits.queue_bytes(self.kind)

    @property
    def greeting(self) -> bool:
        """Whether the next event is a handshake step, which the reactor rations."""
        return self.state is LinkState.HANDSHAKE

    # Setting up: called by the stage

    def begin(self, stage: LinkStage, given: LinkInput) -> None:
        """Let *stage* drive this link from now on, for what it begins with: CONNECT or GREET."""
        self._stage, self.state = stage, state_after(self.state, given)

    def come_up(self, tls: PyOpenSslTls, evidence: PeerEvidence, verdict: Verdict) -> None:
        """Take over a handshaken connection whose peer was judged; the one door to :meth:`_deliver`."""
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
        self._stand_on(verdict)
        if self._is_one_too_many(verdict):
            self.close("too many links from this peer")
            return
        self._events.link_up(self)
        if self.state is UP:
            self._start(tls)

    def _stand_on(self, verdict: Verdict) -> None:
        """Live by *verdict* from now on: until one of its certificates ends, or is revoked."""
        self.verdict = verdict
        self._ends = verdict.ends.timestamp() + A_SECOND if verdict.ends is not None else 0.0
        self._reactor.links.relying.set(self, verdict.relied_on)

    def judged(self, verdict: Verdict) -> bool:
        """Take a new verdict on the peer of a link that is up; False if it is refused now, and closed for it."""
        if verdict.accepted:
            self._stand_on(verdict)
            self._set_alarm()
            return True
        self.verdict = verdict
        self.close(f"no longer trusted: {verdict.code}")
        return False

    def _is_one_too_many(self, verdict: Verdict) -> bool:
        held = self._reactor.links.accepted_from(verdict.proved, self.kind)
        return self.direction is Direction.ACCEPTED and held > self._reactor.limits.links_accepted_per_peer

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
            self._reactor.bury(self)

    def discard(self, verdict: Verdict) -> None:
        """End an accepted link that was refused: nobody has heard of it but through the verdict."""
        self._stage = None
        self.state, self.why, self.verdict = state_after(self.state, LinkInput.REFUSE), verdict.code, verdict

    # The caller's side

    def has_room(self, size: int) -> bool:
        """Tell whether a message of *size* octets may be queued now, which one peer sends to another.

        What such messages leave free, ``queue_reserved_bytes``, is for short responses, ACK and CANCEL. A peer whose queue
        is full does not read at the moment: its link is closed after ``stall_s``, and for no message of somebody else.
        """
        state = self.state
        if state is CLOSED or state is DRAINING:
            return False
        writer = self._writer
        return writer.pending + size <= writer.bound or self._makes_room(size, 0)

    def can_hold(self, size: int) -> bool:
        """Tell whether a message of *size* octets fits into an empty queue of this link."""
        return size <= self._writer.bound

    def send(self, data: bytes) -> bool:
        """Queue whole messages; False if the link takes none any more (closed, draining), or has no room for this one."""
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

    def send_or_close(self, data: bytes) -> None:
        """Queue a message that must not be lost alone: without room for it the link is closed, and its two ends begin anew."""
        if not self.send(data):
            self.close(DOES_NOT_READ)

    @property
    def _reserved(self) -> int:
        """Tell how much may wait above the bound; nothing before a login, since nobody sends to such a link."""
        stranger = self.kind is LinkKind.CLIENT and not self.authenticated
        return 0 if stranger else self._reactor.limits.queue_reserved_bytes

    def _makes_room(self, size: int, reserved: int) -> bool:
        """Tell whether *size* octets fit, *reserved* among them, once the socket has taken what it can.

        In one batch much may be queued for a peer that reads.
        """
        writer = self._writer
        most = writer.bound + reserved
        if writer.pending + size > most and self.state is UP and self._tls is not None and not writer.blocked_at:
            self._write(self._tls)
        return self.state is not CLOSED and writer.pending + size <= most

    def drain(self) -> None:
        """Take no new message, write what waits, then close; at the latest after ``drain_s``."""
        state = state_after(self.state, LinkInput.DRAIN)
        if state is CLOSED:
            self.close("drained before the handshake finished")
        elif self.state is not DRAINING:
            self.state = state
            until = self._deadlines.drain_until = self._reactor.loop.time() + self._reactor.limits.drain_s
            self._reactor.set_alarm(self, until)
            self._mark_dirty()

    def close(self, why: str) -> None:
        """Stop at once; what the socket still takes is written, the rest is dropped. ``link_down`` follows."""
        if self.state is CLOSED:
            return
        stage, self._stage = self._stage, None
        self.state, self.why = state_after(self.state, LinkInput.CLOSE), why
        if stage is not None:
            stage.abandon()
        if self._tls is not None:
            self._reactor.unwatch(self._tls.fileno())
        self._reactor.bury(self)

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
        """End this link after a fault of ours; nothing of it goes to the peer."""
        self.close(f"bug in this server: {type(error).__name__}")

    def due(self, now: float) -> None:
        """Act on the alarm: something has taken too long, or the alarm is set again."""
        if self._stage is not None:
            self._stage.due(now)
        elif self._is_open():
            late = [why for when, why in self._bounds() if when <= now]
            if late:
                self.close(late[0])
            elif self._ends and self.evidence is not None and self._ends <= self._reactor.wall_clock():
                self.judged(self._events.judge(self, self.evidence))  # another path may hold where this one has ended
            else:
                self._set_alarm()

    def _set_alarm(self) -> None:
        times = [when for when, _ in self._bounds()]
        if self._ends:
            times.append(self._until_end())
        if times:  # never far ahead: the heap would hold links that were closed long ago
            self._reactor.set_alarm(self, min(*times, self._reactor.loop.time() + LOOK_AGAIN_S))

    def _until_end(self) -> float:
        """Tell at which loop time a certificate of the path ends.

        Certificates end by the wall clock, alarms go off by a clock that is never set. So this holds only while nobody sets
        the wall clock: it is worked out anew at each alarm, and one comes every ``LOOK_AGAIN_S`` whatever is far off. A link
        may outlive its certificate by that much after a jump, and by nothing otherwise; one that a clock set too far has
        closed is opened again when it is needed.
        """
        left = self._ends - self._reactor.wall_clock()
        if left <= 0:  # judged good in its last moment
            left = A_SECOND
        return self._reactor.loop.time() + left

    def _bounds(self) -> list[tuple[float, str]]:
        return self._deadlines.all(self._writer.blocked_at, self.last_in)

    # Reading

    def _read(self, tls: PyOpenSslTls) -> None:
        """Hand on what is there, up to the bytes of one turn.

        On a link that was read in the last turn as well there is mostly more: reading until nothing is there costs less
        than another turn then, and on a quiet link more. A read that does not fill the buffer has taken all that TLS held.
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
        """The choke point: no byte becomes a message unless this link came up under an accepted verdict."""
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
            self._reader.take(chunk)
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

    def _refuse_early(self, chunk: bytes, reader: MessageReader) -> bytes:
        """Answer the new requests in *chunk* that are refused because of overload, and give the rest."""
        self.admitted = 0
        if reader.unread or reader.unfinished:
            return chunk
        host, port = self.remote
        control = self._reactor.overload
        methods = CLIENT_METHODS if self.kind is LinkKind.CLIENT else SERVER_METHODS
        result = refuse_early(chunk, control, methods, host.encode(), str(port).encode())
        self.admitted = result.admitted
        if result.refused:
            control.refused += result.refused
            self.messages_in += result.refused
            self.messages_out += result.refused - 1  # sending counts one
            self.send(result.answers)
        return result.rest

    def _waits_for_the_rest(self, count: int, *, anew: bool) -> None:
        """Bound how long the message may take of which a part has come, the last *count* octets among it.

        It has ``message_s``, and for each octet that has come as much more as ``message_bytes_per_s`` says.
        """
        deadlines = self._deadlines
        if anew or not deadlines.begun_at:
            deadlines.begun_at, deadlines.begun_octets = self._reactor.now, 0
            self._set_alarm()
        deadlines.begun_octets += count

    def _keepalive(self, item: Keepalive) -> None:
        """RFC 5626 4.4.1: the server MUST answer a double CRLF with a single one."""
        if item is Keepalive.PING:
            self._deadlines.pings = True
            self._set_alarm()
            self.send(PONG)

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
        """Write all that was queued in this batch in one go."""
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
        """A peer that refused us may have sent its alert before it closed: read it, it is the better reason."""
        why = str(lost)
        try:
            while tls.read(self._reactor.room):
                pass
        except TlsError as told:
            why = str(told) if told.alert else why
        self._ended(why)

    # Ending

    def bury(self) -> None:
        """Close the socket after the batch, and tell the server layer."""
        refused_us = self._closed_by_peer and not self.confirmed and self.evidence is not None
        tls, self._tls = self._tls, None
        if tls is not None:
            self._last_words(tls)
            tls.close()
        self._writer.clear()
        self._reader = None
        self.generation = 0
        self._reactor.links.remove(self)
        if self._trusted or self.direction is Direction.OPENED:
            self._tell_end(refused_us=refused_us)

    def _last_words(self, tls: PyOpenSslTls) -> None:
        """Write what still fits, such as the answer to the message for which this link is closed."""
        if not self._closed_by_peer and not self._writer.blocked_at and self._writer.pending:
            self._write(tls)

    def _tell_end(self, *, refused_us: bool) -> None:
        try:
            if refused_us:
                self._refused_late()
        finally:
            self._events.link_down(self, self.why, self.verdict)

    def _refused_late(self) -> None:
        """A peer that closes before its first SIP byte has refused us: TLS 1.3 tells the connecting side late."""
        if self.evidence is None:
            return
        text = f"the peer closed the link before any SIP byte came back: {self.why}"
        failure = HandshakeFailure("refused-by-peer", text)
        self.verdict = self._events.judge(self, replace(self.evidence, failure=failure))
        self._events.refused(self.verdict)
        if self.opener is not None:
            self.opener.refused_late(self)
