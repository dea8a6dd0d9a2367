"""One listening socket; its settings alone decide what kind of link each connection is."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.errors import OperatorError
from sipmesh.routing.budget import Budget
from sipmesh.transport.descriptors import most_for_clients
from sipmesh.transport.handshake import Handshake
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkInput, LinkState
from sipmesh.transport.sockets import address_of, close_quietly, keep_alive
from sipmesh.transport.watched import Watched
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence

if TYPE_CHECKING:
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.link import LinkEvents
    from sipmesh.transport.reactor import Reactor
    from sipmesh.transport.tls.contexts import AcceptingContext
    from sipmesh.trust.verdict import Verdict

BACKLOG: Final = 1024
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ForeignAddressError(OperatorError):
    """The address to listen on is not an address of this machine."""


class Spec(Protocol):
    """The settings of a listener, such as ``topology.listeners.ListenerSpec``."""

    @property
    def kind(self) -> LinkKind:
        """The kind of each link that is accepted here."""

    @property
    def host(self) -> str:
        """The IP address to bind."""

    @property
    def port(self) -> int:
        """The port to bind; 0 for any free port."""

    @property
    def name(self) -> str:
        """The host name under which this listener is advertised."""


def nobody(_address: str) -> bool:
    """Return False: no address is reserved."""
    return False


class Listener(Watched):
    """Accepts connections of one kind, within the limits; each becomes a link once its peer is accepted.

    A connection counts as *silent* until its ClientHello is complete, and as a handshake after that. Where a certificate
    is required, addresses of servers and partners (*is_reserved*) have a budget of their own. *make_room* is called when a
    descriptor is needed and no connection here can be closed: it closes a link and returns True, or returns False.
    """

    def __init__(
        self, reactor: Reactor, spec: Spec, context: AcceptingContext, events: LinkEvents, limits: Limits | None = None
    ) -> None:
        self.spec, self.kind = spec, spec.kind
        self.generation, self.alarm = 0, 0.0
        self.accepted = self.refused = 0
        self._reactor, self._events, self._context = reactor, events, context
        self._limits = limits or reactor.limits
        self.is_reserved: Callable[[str], bool] = nobody
        self.make_room: Callable[[], bool] = lambda: False
        limits = self._limits
        self._most = most_for_clients(limits.descriptors_kept)
        self.silent: Budget[Greeting] = Budget(limits.silent_per_address, limits.silent_in_all)
        self.shaking: Budget[Greeting] = Budget(limits.handshakes_per_address, limits.handshakes_in_flight)
        self.reserved: Budget[Greeting] = Budget(limits.handshakes_per_address, limits.handshakes_in_flight)
        self._sock = _bind(spec)
        self.address = address_of(self._sock.getsockname())
        self._is_one_address = not ipaddress.ip_address(self.address[0].partition("%")[0]).is_unspecified
        reactor.watch(self._sock.fileno(), self)

    def __repr__(self) -> str:
        host, port = self.address
        return (
            f"<Listener {self.kind} {host}:{port} for {self.spec.name}, {self.accepted} accepted,"
            f" {self.refused} refused, {self.handshakes} handshakes{', paused' if self.alarm else ''}>"
        )

    @property
    def port(self) -> int:
        """The port that is bound, also where the settings say 0."""
        return self.address[1]

    @property
    def greeting(self) -> bool:
        """False: accepting is no handshake step."""
        return False

    @property
    def handshakes(self) -> int:
        """How many connections are not up yet, including those that have sent nothing."""
        return len(self.silent) + len(self.shaking) + len(self.reserved)

    def swap(self, context: AcceptingContext) -> None:
        """Use *context* for new connections; links and handshakes that exist keep their context."""
        self._context = context

    # The reactor's side

    def ready(self, _mask: int) -> None:
        """Accept the waiting connections, at most ``accepts_per_turn``."""
        for _ in range(self._limits.accepts_per_turn):
            try:
                sock, remote = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    self._pause()
                    return
                continue  # the connection failed in the queue (accept(2) returns its network error)
            self._greet(sock, address_of(remote))

    def _pause(self) -> None:
        """Pause accepting: without free descriptors accept fails at once, and epoll reports the socket again at once."""
        self._reactor.unwatch(self._sock.fileno())
        self._reactor.set_alarm(self, self._reactor.loop.time() + self._limits.accept_pause_s)

    def due(self, _now: float) -> None:
        """End the pause."""
        if self._sock.fileno() >= 0:
            self._reactor.watch(self._sock.fileno(), self)

    def broken(self, _error: Exception) -> None:
        """Continue: one connection that failed says nothing about the next."""

    def _greet(self, sock: socket.socket, remote: tuple[str, int]) -> None:
        sock.settimeout(0)
        link = Link(self._reactor, self._events, self.kind, Direction.ACCEPTED)
        link.remote = remote
        reserved = self.kind is not LinkKind.CLIENT and self.is_reserved(remote[0])
        if not reserved and not self._has_descriptor(sock):
            self._refuse_without_descriptor(sock, link)
            return
        try:
            link.local = self.address if self._is_one_address else address_of(sock.getsockname())
            tls = self._context.accepted(sock)
        except OSError:  # the peer has closed already
            close_quietly(sock)
            return
        budget = self.reserved if reserved else self.silent
        Greeting(self, link, Handshake(self._reactor, self._events, link, tls), budget).begin()

    def _has_descriptor(self, sock: socket.socket) -> bool:
        """Return whether a client may keep its descriptor; where few are left, the oldest connection is closed for it."""
        if sock.fileno() < self._most:
            return True
        displaced = self.silent.displace_one() or self.shaking.displace_one()
        if displaced is not None:
            displaced.give_way()
            return True
        return self.make_room()

    def _refuse_without_descriptor(self, sock: socket.socket, link: Link) -> None:
        text = f"no file descriptor is free for clients: {self._limits.descriptors_kept} are reserved for servers and files"
        failure = HandshakeFailure("too-many-handshakes", text)
        close_quietly(sock)
        self.refused += 1
        evidence = PeerEvidence(link.direction, link.kind, link.remote, self.address, failure=failure)
        self._events.refused(self._events.judge(link, evidence))

    # Called by connections that are not up yet

    def over(self, verdict: Verdict) -> None:
        """Count the end of a handshake."""
        self.accepted += verdict.accepted
        self.refused += not verdict.accepted

    def close(self) -> None:
        """Stop listening, and close the connections that are not up yet; links that are up stay."""
        if self._sock.fileno() < 0:
            return
        self._reactor.unwatch(self._sock.fileno())
        self._sock.close()
        for budget in (self.silent, self.shaking, self.reserved):
            for greeting in budget.all():
                greeting.link.close("the listener was closed")


class Greeting:
    """An accepted connection until it is up or refused; *budget* is the limit that counts it."""

    __slots__ = ("budget", "handshake", "limits", "link", "listener", "reactor", "site")

    def __init__(self, listener: Listener, link: Link, handshake: Handshake, budget: Budget[Greeting]) -> None:
        self.listener, self.link, self.handshake, self.budget = listener, link, handshake, budget
        self.site = site_of(link.remote[0])
        self.reactor, self.limits = listener._reactor, listener._limits  # noqa: SLF001 - the other half of the listener

    def begin(self) -> None:
        """Wait for the first bytes; the deadline of the handshake starts now."""
        self._count_in(self.budget)
        self.link.begin(self, LinkInput.GREET)
        self.reactor.watch(self.handshake.tls.fileno(), self.link)
        self.reactor.set_alarm(self.link, self.reactor.loop.time() + self.limits.handshake_s)

    def _count_in(self, budget: Budget[Greeting]) -> None:
        self.budget = budget
        displaced = budget.add(self.site, self)
        if displaced is not None:
            displaced.give_way()

    def give_way(self) -> None:
        """Close this connection, because a newer one needs its place."""
        if self.link.state is LinkState.HANDSHAKE:
            text = f"closed at a limit: a newer connection replaced it, with {self.budget.count(self.site)} more from its address"
            self._over(self.handshake.end(HandshakeFailure("too-many-handshakes", text)))

    def ready(self, _mask: int) -> None:
        """Take one step of the handshake."""
        try:
            verdict = self.handshake.step()
        except Exception:  # a bug in the judge or in link_up: the reactor closes the link, here it is no longer counted
            self.budget.remove(self.site, self)
            raise
        if verdict is not None:
            self._over(verdict)
        elif self.budget is self.listener.silent and self.handshake.tls.greeted:
            self.budget.remove(self.site, self)
            self._count_in(self.listener.shaking)

    def _over(self, verdict: Verdict) -> None:
        self.budget.remove(self.site, self)
        self.listener.over(verdict)
        if not verdict.accepted:
            self.link.discard(verdict)

    def due(self, _now: float) -> None:
        """End the handshake: the peer took too long."""
        text = f"not finished after {self.limits.handshake_s:g} s"
        self._over(self.handshake.end(HandshakeFailure("handshake-timeout", text)))

    def abandon(self) -> None:
        """Stop without a verdict."""
        self.budget.remove(self.site, self)
        self.handshake.abandon()


def site_of(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or an IPv6 /64, which is one customer."""
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
