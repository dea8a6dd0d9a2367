"""One listening socket: what a connection is follows from it alone."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.errors import OperatorError
from sipmesh.transport.handshake import Handshake
from sipmesh.transport.link import Link, LinkState
from sipmesh.transport.reactor import Watched
from sipmesh.transport.sockets import address_of, close_quietly, keep_alive
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence

if TYPE_CHECKING:
    from sipmesh.transport.contexts import AcceptingContext
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link import LinkEvents
    from sipmesh.transport.reactor import Reactor
    from sipmesh.trust.verdict import Verdict

BACKLOG: Final = 1024
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ForeignAddressError(OperatorError):
    """An address to listen on that this machine does not have."""


class Spec(Protocol):
    """What a listener is told; ``topology.listeners.ListenerSpec`` is one."""

    @property
    def kind(self) -> LinkKind:
        """What every connection here is."""

    @property
    def host(self) -> str:
        """The IP address to bind."""

    @property
    def port(self) -> int:
        """The port to bind; 0 for any free one."""

    @property
    def name(self) -> str:
        """The host that is advertised for it."""


class Listener(Watched):
    """Accepts connections of one kind, within the limits, and lets each come up as a link once it is judged."""

    def __init__(
        self, reactor: Reactor, spec: Spec, context: AcceptingContext, events: LinkEvents, limits: Limits | None = None
    ) -> None:
        self.spec, self.kind = spec, spec.kind
        self.generation, self.alarm = 0, 0.0
        self.accepted = self.refused = 0
        self._reactor, self._events, self._context = reactor, events, context
        self._limits = limits or reactor.limits
        self._greetings: dict[Greeting, None] = {}
        self._per_address: Counter[str] = Counter()
        self._sock = _bind(spec)
        self.address = address_of(self._sock.getsockname())
        self._is_one_address = not ipaddress.ip_address(self.address[0].partition("%")[0]).is_unspecified
        reactor.watch(self._sock.fileno(), self)

    def __repr__(self) -> str:
        host, port = self.address
        return (
            f"<Listener {self.kind} {host}:{port} for {self.spec.name}, {self.accepted} accepted,"
            f" {self.refused} refused, {len(self._greetings)} handshakes{', paused' if self.alarm else ''}>"
        )

    @property
    def port(self) -> int:
        """The port that is bound, also where 0 was asked for."""
        return self.address[1]

    @property
    def greeting(self) -> bool:
        """Accepting is no handshake step."""
        return False

    @property
    def handshakes(self) -> int:
        """How many handshakes are in flight here."""
        return len(self._greetings)

    def swap(self, context: AcceptingContext) -> None:
        """Use *context* for every connection from now on; those that are up or in their handshake keep theirs."""
        self._context = context

    # The reactor's side

    def ready(self, _mask: int) -> None:
        """Accept what waits, up to the ration of one turn."""
        for _ in range(self._limits.accepts_per_turn):
            try:
                sock, remote = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    self._pause()
                    return
                continue  # the connection died in the queue (accept(2) passes on its pending network errors)
            self._greet(sock, address_of(remote))

    def _pause(self) -> None:
        """Without descriptors accept fails at once and epoll reports again at once: look again a little later."""
        self._reactor.unwatch(self._sock.fileno())
        self._reactor.set_alarm(self, self._reactor.loop.time() + self._limits.accept_pause_s)

    def due(self, _now: float) -> None:
        """End the pause."""
        if self._sock.fileno() >= 0:
            self._reactor.watch(self._sock.fileno(), self)

    def broken(self, _error: Exception) -> None:
        """Go on: one connection that could not be served says nothing about the next."""

    def _greet(self, sock: socket.socket, remote: tuple[str, int]) -> None:
        sock.settimeout(0)
        link = Link(self._reactor, self._events, self.kind, Direction.ACCEPTED)
        link.remote = remote
        site = site_of(remote[0])
        if self._is_full(site):
            self._turn_away(sock, link)
            return
        try:
            link.local = self.address if self._is_one_address else address_of(sock.getsockname())
            tls = self._context.accepted(sock)
        except OSError:  # the peer has gone already (ssl looks for the peer's address)
            close_quietly(sock)
            return
        Greeting(self, link, Handshake(self._reactor, self._events, link, tls), site).begin()

    def _is_full(self, site: str) -> bool:
        limits = self._limits
        return (
            self._per_address[site] >= limits.handshakes_per_address or self.handshakes >= limits.handshakes_in_flight
        )

    def _turn_away(self, sock: socket.socket, link: Link) -> None:
        there = self._per_address[site_of(link.remote[0])]
        text = f"{there} handshakes from there, {self.handshakes} in all, are not over"
        failure = HandshakeFailure("too-many-handshakes", text)
        close_quietly(sock)
        self.refused += 1
        evidence = PeerEvidence(link.direction, link.kind, link.remote, self.address, failure=failure)
        self._events.refused(self._events.judge(link, evidence))

    # The greetings' side

    def greeted(self, greeting: Greeting) -> None:
        """Count a handshake in."""
        self._greetings[greeting] = None
        self._per_address[greeting.site] += 1

    def over(self, greeting: Greeting, verdict: Verdict | None) -> None:
        """Count a handshake out; *verdict* is None where we gave it up ourselves."""
        if self._greetings.pop(greeting, greeting) is greeting:
            return
        self._per_address[greeting.site] -= 1
        if self._per_address[greeting.site] <= 0:
            del self._per_address[greeting.site]
        if verdict is not None:
            self.accepted += verdict.accepted
            self.refused += not verdict.accepted

    def close(self) -> None:
        """Stop listening and give up the handshakes in flight; links that are up stay."""
        if self._sock.fileno() < 0:
            return
        self._reactor.unwatch(self._sock.fileno())
        self._sock.close()
        for greeting in list(self._greetings):
            greeting.link.close("the listener was closed")


class Greeting:
    """An accepted connection until it is up or refused."""

    __slots__ = ("handshake", "limits", "link", "listener", "reactor", "site")

    def __init__(self, listener: Listener, link: Link, handshake: Handshake, site: str) -> None:
        self.listener, self.link, self.handshake, self.site = listener, link, handshake, site
        self.reactor, self.limits = listener._reactor, listener._limits  # noqa: SLF001 - the other half of the listener

    def begin(self) -> None:
        """Wait for the first bytes; the handshake's deadline runs from now."""
        self.listener.greeted(self)
        self.link.begin(self, LinkState.HANDSHAKE)
        self.reactor.watch(self.handshake.tls.fileno(), self.link)
        self.reactor.set_alarm(self.link, self.reactor.loop.time() + self.limits.handshake_s)

    def ready(self, _mask: int) -> None:
        """Take one step."""
        try:
            verdict = self.handshake.step()
        except Exception:  # a fault of the judge, or of who heard of the link: the reactor closes it, we count it out
            self.listener.over(self, None)
            raise
        if verdict is not None:
            self._over(verdict)

    def _over(self, verdict: Verdict) -> None:
        self.listener.over(self, verdict)
        if not verdict.accepted:
            self.link.discard(verdict)

    def due(self, _now: float) -> None:
        """The peer took too long."""
        text = f"not finished after {self.limits.handshake_s:g} s"
        self._over(self.handshake.end(HandshakeFailure("handshake-timeout", text)))

    def abandon(self) -> None:
        """Give up; nobody was judged."""
        self.listener.over(self, None)
        self.handshake.abandon()


def site_of(host: str) -> str:
    """Give what counts as one address: an IPv4 address, or a /64, which is one IPv6 customer."""
    if ":" not in host:
        return host
    return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))


def _bind(spec: Spec) -> socket.socket:
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        keep_alive(sock)  # accepted sockets inherit it
        sock.bind((spec.host, spec.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        kind = ForeignAddressError if error.errno == errno.EADDRNOTAVAIL else OperatorError
        raise kind(f"cannot listen on {spec.host} port {spec.port} for {spec.name}: {error.strerror}") from None
    return sock
