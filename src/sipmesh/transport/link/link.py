"""A link: one TLS connection with the verdict on its peer. Bytes become messages only under an accepted verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sipmesh.routing.overload import Demand
from sipmesh.transport.link.deadlines import DOES_NOT_READ, LinkDeadlines
from sipmesh.transport.link.peer import LinkPeer
from sipmesh.transport.link.reader import LinkReader
from sipmesh.transport.link.state import CLOSED, DRAINING, UP, LinkInput, LinkState, state_after
from sipmesh.transport.link.writer import LinkWriter, why_broken
from sipmesh.transport.registry.registered_link import RegisteredLink
from sipmesh.transport.tls.application_protocol import CONTROL, is_for_control
from sipmesh.transport.tls.results import TlsError
from sipmesh.transport.watched import READ, WRITE
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.events import LinkEvents, LinkStage, Opener
    from sipmesh.transport.link.repeated_message import RepeatedMessage
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict

PING: Final = b"\r\n\r\n"
NOBODYS: Final = Demand()


class Link(RegisteredLink):
    """One connection, and its state. *peer* has the verdict; a reader, a writer and the deadlines do the rest.

    ``send`` queues and never blocks. All messages that were queued in one batch leave in one TLS write. Where the reactor
    serves a single message, ``send`` writes at once. ``flow`` belongs to the server layer. Times are loop times in seconds.
    """

    __slots__ = (
        "_closed_by_peer",
        "_deadlines",
        "_dirty",
        "_events",
        "_reactor",
        "_reader",
        "_stage",
        "_tls",
        "_writer",
        "admitted",
        "ahead_s",
        "alarm",
        "bytes_in",
        "demand",
        "flow",
        "hop",
        "is_control",
        "is_trial",
        "last_in",
        "local",
        "messages_in",
        "messages_out",
        "opener",
        "peer",
        "port",
        "remote",
        "repeated",
        "state",
        "why",
    )

    _numbers: ClassVar[int] = 0

    @classmethod
    def number_from(cls, first: int) -> None:
        """Give links numbers from *first* on, so that the processes of one server give no number twice."""
        Link._numbers = first

    def __init__(
        self, reactor: Reactor, events: LinkEvents, kind: LinkKind, direction: Direction, port: str = ""
    ) -> None:
        Link._numbers += 1
        super().__init__(Link._numbers, kind, direction)
        self.generation = 0
        self.state = LinkState.CONNECTING
        self.peer = LinkPeer(confirmed=direction is Direction.ACCEPTED)
        self.hop: Hop | None = None
        self.opener: Opener | None = None
        # the name of our port that it came by, or would have: our Via and Record-Route have its number
        self.port: str = port or kind
        self.remote: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.is_control = self.is_trial = False  # for the control plane alone; opened to see whether its peer answers
        self.ahead_s: float | None = None  # by which a peer whose port we have opened shows its clock ahead of ours
        self.flow: object | None = None
        self.demand = NOBODYS  # that of its principal, set by the server layer
        self.repeated: RepeatedMessage | None = None  # set by the server layer
        now = self.last_in = reactor.loop.time()
        self.bytes_in = self.messages_in = self.messages_out = 0
        self.admitted = 0  # requests of the last chunk that overload control has looked at already
        self.why, self.alarm = "", 0.0
        self._reactor, self._events = reactor, events
        limits, accepted = reactor.limits, direction is Direction.ACCEPTED
        self._deadlines = LinkDeadlines(limits, kind, direction, now)
        self._reader = LinkReader(reactor, events, self._deadlines)
        self._writer = LinkWriter(
            limits.queue_bytes_at_first(kind) if accepted else limits.queue_bytes(kind),
            0 if kind is LinkKind.CLIENT else limits.queue_reserved_bytes,  # a client gets nothing before its login
            reactor.loop.time,
        )
        self._tls: PyOpenSslTls | None = None
        self._stage: LinkStage | None = None
        self._dirty = self._closed_by_peer = False

    def __repr__(self) -> str:
        who = self.peer.name or (self.hop.name if self.hop else "")
        unconfirmed = "" if self.peer.confirmed else " unconfirmed"
        return (
            f"<Link {self.id} {self.direction} {self.state.value}{unconfirmed} {who or 'nobody proved'}"
            f" at {self.remote[0]}:{self.remote[1]}, {self.messages_in} in, {self.messages_out} out,"
            f" {self.pending_out} bytes waiting>"
        )

    @property
    def verdict(self) -> Verdict | None:
        """The last verdict on the peer."""
        return self.peer.verdict

    @property
    def peer_name(self) -> str:
        """The name of the topology entry that the peer proved; empty on client links and before the verdict."""
        return self.peer.name

    @property
    def meant(self) -> str:
        """The reference name of a link that we open; empty on an accepted one."""
        return self.hop.name if self.hop is not None else ""

    @property
    def is_here(self) -> bool:
        """Whether this process has the connection, and not another process of this server."""
        return True

    @property
    def reserved(self) -> bool:
        """Whether the pool never returns the link: it is for no request of a user."""
        return self.is_control or self.is_trial

    @property
    def agreed_on_control(self) -> bool:
        """Whether both ends know that the link is for the control plane alone; an older release does not know."""
        return self.peer.facts.protocol == CONTROL

    @property
    def usable(self) -> bool:
        """Whether :meth:`send` accepts messages now."""
        return self.state is not CLOSED and self.state is not DRAINING

    @property
    def is_open(self) -> bool:
        """Whether the link delivers messages: it is up, or drains."""
        return self.state is UP or self.state is DRAINING

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
    def unread(self) -> int:
        """How many encrypted octets of the peer wait for this process to read them."""
        return self._tls.unread() if self._tls is not None else 0

    def is_at(self, address: tuple[str, int]) -> bool:
        """Tell whether the peer is at *address*, as far as the link shows: an accepted one does not show the port of its peer."""
        return address == self.remote if self.direction is Direction.OPENED else address[0] == self.remote[0]

    @property
    def opened_at(self) -> float:
        """The loop time at which the link came up; before that, the time at which it was created."""
        return self._deadlines.opened_at

    @property
    def authenticated(self) -> bool:
        """Whether a user has logged in on this client link."""
        return self._deadlines.authenticated

    @property
    def keepalives_in(self) -> int:
        """How many keepalives the peer has sent, or answers to ours: the octets do not tell them apart."""
        return self._deadlines.keepalives

    def principal(self) -> Demand | None:
        """Return the demand of the principal of this link; None before it is known."""
        return None if self.demand is NOBODYS else self.demand

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

        Only this method lets the reader deliver octets. Raises LocalError for a verdict that does not accept.
        """
        self.peer.accept(evidence, verdict)
        self._stage, self._tls = None, tls
        self.remote, self.local = evidence.remote, evidence.local
        if self.direction is Direction.ACCEPTED:
            self.is_control = is_for_control(evidence.tls.protocol, verdict.processes)
        self.state = state_after(self.state, LinkInput.ACCEPT)
        self._deadlines.opened_at = self.last_in = self._reactor.loop.time()
        self._deadlines.logs_in |= self.direction is Direction.ACCEPTED and not self.peer.has_certificate
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

    def _exceeds_peer_limit(self, verdict: Verdict) -> bool:
        if self.direction is not Direction.ACCEPTED or not self.peer.has_certificate:
            return False
        count = self._reactor.links.accepted_from(verdict.proved, self.kind)
        return count > self._reactor.limits.links_accepted_per_peer * verdict.processes

    def _start(self, tls: PyOpenSslTls) -> None:
        if self._writer.pending:
            self._mark_dirty()
        if tls.pending():
            self._reactor.read_again(self)
        self.set_alarm()

    def fail(self, why: str, verdict: Verdict | None) -> None:
        """End a link that never came up; ``link_down`` follows at the end of the batch."""
        self._stage = None
        if self.state is not CLOSED:
            self.state, self.why, self.peer.verdict = state_after(self.state, LinkInput.FAIL), why, verdict
            self._reactor.close_later(self)

    def discard(self, verdict: Verdict) -> None:
        """End an accepted link that was refused; no ``link_down`` follows, because no ``link_up`` came."""
        self._stage = None
        self.state, self.why, self.peer.verdict = state_after(self.state, LinkInput.REFUSE), verdict.code, verdict

    # The verdict

    def _rely_on(self, verdict: Verdict) -> None:
        """Keep the link up under *verdict*, until a certificate of its path expires or is revoked."""
        self.peer.rely_on(verdict)
        self._reactor.links.relying.set(self, verdict.relied_on)

    def judged(self, verdict: Verdict) -> bool:
        """Apply a new verdict on the peer of a link that is up; return False if it refuses, and the link was closed."""
        if verdict.accepted:
            self._rely_on(verdict)
            self.set_alarm()
            return True
        self.peer.verdict = verdict
        self.close(f"no longer trusted: {verdict.code}")
        return False

    def authenticate(self) -> None:
        """A user has logged in: the link may stay, and its queue and its messages may be as large as those of a client."""
        limits = self._reactor.limits
        self._deadlines.authenticated = True
        self._reader.logged_in(self)
        self._writer.bound, self._writer.reserved = limits.queue_bytes(self.kind), limits.queue_reserved_bytes

    # The caller's side

    def has_room(self, size: int) -> bool:
        """Return whether a message of *size* octets from one peer to another may be queued now.

        These messages leave ``queue_reserved_bytes`` free for short responses, ACK and CANCEL. A full queue means that the
        peer does not read at the moment. ``stall_s`` closes its link; a message from another peer does not.
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
        if writer.pending + size > writer.bound and not self._makes_room(size, writer.reserved):
            return False
        writer.put(data)
        self.messages_out += 1
        if self._reactor.tap is not None:
            self._reactor.tap.sent(self, data)
        if state is UP and not self._dirty:
            if self._reactor.prompt and self._tls is not None and not writer.blocked_at:
                self._write(self._tls)
            else:
                self._mark_dirty()
        return True

    def ping(self) -> None:
        """Ask the peer for a keepalive (RFC 5626 4.4.1), on a link that we opened."""
        self.send_octets(PING)

    def send_octets(self, octets: bytes) -> None:
        """Queue octets that are no message, such as a keepalive; without room they are dropped."""
        if self.send(octets):
            self.messages_out -= 1

    def send_or_close(self, data: bytes) -> None:
        """Queue a message that must not be lost silently: if there is no room, close the link, so that both ends start again."""
        if not self.send(data):
            self.close(DOES_NOT_READ)

    def _makes_room(self, size: int, reserved: int) -> bool:
        """Return whether *size* octets fit, with *reserved* octets above the bound.

        If they do not fit, write first: one batch may queue much for a peer that reads.
        """
        writer = self._writer
        limit = writer.bound + reserved
        if writer.pending + size > limit and self.state is UP and self._tls is not None and not writer.blocked_at:
            self._write(self._tls)
        return self.state is not CLOSED and writer.pending + size <= limit

    def end_with(self, octets: bytes) -> None:
        """Write *octets*, and close. All links share them, so they take no memory here, and no bound of the queue counts."""
        self._writer.put(octets)
        self.drain()

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
        if mask & ~WRITE and self._tls is not None and self.is_open:
            ended = self._reader.read(self, self._tls)
            if ended:
                self._ended(ended)

    def _ended(self, why: str) -> None:
        self._closed_by_peer = True
        self.close(why)

    def broken(self, error: Exception) -> None:
        """End this link after a bug of ours; the peer gets no details."""
        self.close(f"bug in this server: {type(error).__name__}")

    def due(self, now: float) -> None:
        """Act on the alarm: close the link if a deadline has passed, otherwise set the next alarm."""
        if self._stage is not None:
            self._stage.due(now)
        elif self.is_open:
            why = self._deadlines.passed(now, self._writer.blocked_at, self.last_in)
            expired = self.peer.expired_evidence(self._reactor.wall_clock())
            if why:
                self.close(why)
            elif expired is not None:
                self.judged(self._events.judge(self, expired))  # another path may still be valid
            else:
                self.set_alarm()

    def set_alarm(self) -> None:
        """Set the alarm to the next deadline; called whenever a deadline has changed."""
        ends, reactor = self.peer.ends, self._reactor
        valid_s = ends - reactor.wall_clock() if ends else None
        when = self._deadlines.next_alarm(reactor.loop.time(), self._writer.blocked_at, self.last_in, valid_s)
        if when:
            reactor.set_alarm(self, when)

    # Writing

    def _mark_dirty(self) -> None:
        self._dirty = True
        self._reactor.dirty(self)

    def flush(self) -> None:
        """Write all that was queued in this batch at once."""
        self._dirty = False
        if self._tls is None or not self.is_open:
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
            done = writer.write(tls, self._reactor.room)
        except TlsError as lost:
            self._ended(why_broken(tls, lost, self._reactor.room))
            return
        if done:
            if blocked:
                self._wait_for(tls, READ)
            if self.state is DRAINING:
                self.close("drained")
        elif not blocked:
            self.set_alarm()
            self._wait_for(tls, READ | WRITE)

    def _wait_for(self, tls: PyOpenSslTls, mask: int) -> None:
        if self.is_open:
            self._reactor.rewatch(tls.fileno(), mask)

    # Ending

    def close_socket(self) -> None:
        """Close the socket after the batch, and report the end to the server layer."""
        late_refusal = self.peer.late_refusal(self.why) if self._closed_by_peer else None
        tls, self._tls = self._tls, None
        if tls is not None:
            self._write_rest(tls)
            self._leave(tls)
        self._writer.clear()
        self._reader.clear()
        self.repeated = None
        self.generation = 0
        self._reactor.links.remove(self)
        if self.peer.accepted or self.direction is Direction.OPENED:
            self._tell_end(late_refusal)

    def _leave(self, tls: PyOpenSslTls) -> None:
        """Close the connection; all that the socket accepts has been written."""
        tls.close()

    def _write_rest(self, tls: PyOpenSslTls) -> None:
        """Write what the socket accepts, such as the answer to the message for which this link is closed."""
        if not self._closed_by_peer and not self._writer.blocked_at and self._writer.pending:
            self._write(tls)

    def _tell_end(self, late_refusal: PeerEvidence | None) -> None:
        try:
            if late_refusal is not None:
                self._refused_late(late_refusal)
        finally:
            self._events.link_down(self, self.why, self.verdict)

    def _refused_late(self, evidence: PeerEvidence) -> None:
        """Judge a peer that closed before its first SIP byte as a peer that refused us: TLS 1.3 reports a refusal late."""
        verdict = self.peer.verdict = self._events.judge(self, evidence)
        self._events.refused(verdict)
        if self.opener is not None:
            self.opener.refused_late(self)
