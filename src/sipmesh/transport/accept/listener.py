"""One listening socket; its settings alone decide what kind of link each connection is."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.budget import Budget
from sipmesh.transport.accept.accept_queue import AcceptedConnection, AcceptQueue
from sipmesh.transport.accept.greeting import Greeting
from sipmesh.transport.accept.handshake_places import Greeted, HandshakePlaces
from sipmesh.transport.accept.silent_connection import SilentConnection
from sipmesh.transport.handshake import Handshake
from sipmesh.transport.link.link import Link
from sipmesh.transport.reactor.descriptors import OUT_OF_RESOURCES, lowest_free, most_for_clients
from sipmesh.transport.sockets import address_of, close_quietly, keep_alive, probe_often, unread
from sipmesh.transport.watched import READ, Watched
from sipmesh.transport.websocket.link import WebSocketLink
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence

if TYPE_CHECKING:
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.contexts import AcceptingContext
    from sipmesh.transport.websocket.upgrade import UpgradePolicy
    from sipmesh.trust.verdict import Verdict

BACKLOG: Final = socket.SOMAXCONN
"""Connections that the kernel keeps until they are accepted; it keeps at most as many as `net.core.somaxconn` says."""

CLIENT_HELLO: Final = 100
"""Octets that no ClientHello is shorter than: a connection that has sent so many waits for us, and not we for it."""

WAKE_S: Final = 0.05
"""How often connections that wait are looked at, beside each time that a handshake ends."""


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

    @property
    def key(self) -> str:
        """The name of the port, as in the topology."""


def nobody(_address: str) -> bool:
    """Return False: no address is reserved."""
    return False


def everybody(_address: str, _coming: int, _coming_in_all: int) -> bool:
    """Have room for the links of all principals."""
    return True


def nothing() -> bool:
    """Return False: nothing was closed."""
    return False


class Listener(Watched):
    """Accepts connections of one kind, within the limits; each becomes a link once its peer is accepted.

    A connection that has sent nothing is in `silent`, and takes no place. What cannot begin its handshake yet waits: in
    `waiting` if it was accepted, otherwise in the kernel's queue. No connection is closed for a newer one unless it is slow. A
    place is one of `places.silent` until the ClientHello is whole, and one of `places.shaking` from then on. Addresses of
    servers and partners, as *is_reserved* tells, have places of their own on ports where a certificate is required. *has_room*
    tells whether a link of an address that has so many handshakes, of so many in all, may come up. *make_room* is asked for a
    descriptor when no connection here can give way: it closes a link and returns True, or False. On a WebSocket port,
    *upgrade_policy* gives who may open one. *sock* is a socket that is bound already. Without *accepts*, other processes accept
    what comes on it, and this one only keeps the port.
    """

    def __init__(
        self,
        reactor: Reactor,
        spec: Spec,
        context: AcceptingContext,
        events: LinkEvents,
        limits: Limits | None = None,
        *,
        sock: socket.socket | None = None,
        accepts: bool = True,
        is_reserved: Callable[[str], bool] = nobody,
        has_room: Callable[[str, int, int], bool] = everybody,
        make_room: Callable[[], bool] = nothing,
        upgrade_policy: Callable[[], UpgradePolicy] | None = None,
    ) -> None:
        self.spec, self.kind = spec, spec.kind
        self.generation, self.alarm = 0, 0.0
        self.accepted = self.refused = 0
        self._reactor, self._events, self._context = reactor, events, context
        self._limits = limits or reactor.limits
        self.is_reserved, self.has_room, self.make_room = is_reserved, has_room, make_room
        self._upgrade_policy = upgrade_policy
        limits = self._limits
        self._most = most_for_clients(limits.descriptors_kept)
        self.waiting = AcceptQueue()
        self.silent: Budget[SilentConnection] = Budget(limits.waiting_in_all, limits.waiting_in_all)
        self.places = HandshakePlaces(limits)
        self.reserved: Budget[Greeted] = Budget(limits.handshakes_per_address, limits.handshakes_in_flight)
        self.accepting, self._beginning, self._is_short = accepts, False, False
        self._resume_at = 0.0
        self._sock = sock if sock is not None else bind(spec, limits)
        if sock is not None and accepts:
            sock.listen(BACKLOG)
        self.address = address_of(self._sock.getsockname())
        self._is_one_address = not ipaddress.ip_address(self.address[0].partition("%")[0]).is_unspecified
        if accepts:
            reactor.watch(self._sock.fileno(), self)

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
        """How many handshakes are in flight here, with the connections that have sent nothing yet."""
        return len(self.places) + len(self.reserved) + self.silent.size

    def swap(self, context: AcceptingContext) -> None:
        """Use *context* for new connections; links and handshakes that exist keep their context."""
        self._context = context

    # The reactor's side

    def ready(self, _mask: int) -> None:
        """Accept what waits, up to the ration of one turn, and begin what has a place."""
        for accepted in range(self._limits.accepts_per_turn):
            if self.waiting.size + self.silent.size >= self._limits.waiting_in_all:
                if accepted:
                    break  # whether there is one more, the next turn tells: no connection is closed without need
                if not self._drops_one():
                    self._pause(WAKE_S)
                    break
            try:
                sock, remote = self._sock.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    self._pause_without_descriptors()
                    break
                continue  # the connection died in the queue (accept(2) passes on its pending network errors)
            self._arrived(sock, address_of(remote))
        if self.waiting.size:
            self._begin_waiting()

    def _drops_one(self) -> bool:
        """Close a connection that has waited for long and has sent nothing, or nearly nothing; False if there is none."""
        return self._drops_silent_of_many() or self._drops_stalled()

    def _drops_silent_of_many(self) -> bool:
        """Close the oldest silent connection of the address with most; False if it may still speak.

        It has `handshake_s`: thousands of phones that come back together wait for processor time of their own. An address that
        has most of all places to wait has `slow_s`.
        """
        oldest, limits = self.silent.oldest_of_most(), self._limits
        has_most = oldest is not None and 2 * self.silent.count(oldest.connection.site) > limits.waiting_in_all
        return self._drops_silent(oldest, limits.slow_s if has_most else limits.handshake_s)

    def _drops_silent(self, oldest: SilentConnection | None, within_s: float) -> bool:
        """Close *oldest*, if it has sent nothing *within_s*, or within the time that others take; False if not."""
        patience_s = self.places.patience(within_s) if within_s else 0.0
        if oldest is None or self._reactor.loop.time() - oldest.since < patience_s or unread(oldest.connection.fd):
            return False
        self.silent.displace(oldest.connection.site)
        self._forget(oldest)
        self._turn_away(
            oldest.connection, "too-many-handshakes", "closed at a limit: it has sent nothing, and others wait"
        )
        return True

    def _drops_stalled(self) -> bool:
        """Close the oldest connection that waits of the address with most, if the peers there are slow; False if not."""
        site = self.waiting.longest()
        if not self.places.is_stalled(site, self._reactor.loop.time()):
            return False
        oldest = self.waiting.oldest(site)
        if oldest is not None and unread(oldest.fd) >= CLIENT_HELLO:
            return False
        dropped = self.waiting.drop(site)
        if dropped is not None:
            self._turn_away(
                dropped,
                "too-many-handshakes",
                "closed at a limit: too many connections of its address wait, and those before it are slow",
            )
        return True

    def _arrived(self, sock: socket.socket, remote: tuple[str, int]) -> None:
        sock.settimeout(0)
        site, fd = network_of(remote[0]), sock.fileno()
        connection = AcceptedConnection(sock, fd, remote, site)
        if self.kind is not LinkKind.CLIENT and self.is_reserved(remote[0]):
            self._greet(connection, self.reserved)
            return
        self._await_octets(connection)
        if fd >= self._most and not self._free_a_descriptor():
            self._pause_without_descriptors()

    # Connections that have sent nothing: a place would be idle until their octets come, while others wait for one

    def _await_octets(self, connection: AcceptedConnection) -> None:
        now = self._reactor.loop.time()
        silent = SilentConnection(connection, self, now)
        self.silent.hold(connection.site, silent)
        self._reactor.watch_steps(connection.fd, silent)
        self._reactor.set_alarm(silent, now + self._limits.silent_s)

    def _forget(self, silent: SilentConnection) -> None:
        silent.alarm = 0.0
        self._reactor.unwatch(silent.connection.fd)

    def spoke(self, silent: SilentConnection) -> None:
        """See `silent_connection.Hearing`."""
        connection = silent.connection
        if not self.silent.remove(connection.site, silent):
            return
        silent.alarm = 0.0
        if not self.waiting.size and self._has_free_place(connection.site):
            self._greet(connection, self.places.silent, READ)
        else:
            self._reactor.unwatch(connection.fd)
            self.waiting.put(connection)
            self._begin_waiting()

    def _has_free_place(self, site: str) -> bool:
        return (self.kind is not LinkKind.CLIENT or self._may_come_up(site)) and self.places.is_free(site)

    def still_silent(self, silent: SilentConnection, now: float) -> None:
        """See `silent_connection.Hearing`: close it, unless others wait for their places, or its octets wait for us.

        With all places taken, its peer may be as busy as theirs are. It takes nothing from them but a descriptor.
        """
        if unread(silent.connection.fd):
            self.spoke(silent)
            return
        if self.waiting.size:
            self._reactor.set_alarm(silent, now + self._limits.silent_s / 2)
        elif self.silent.remove(silent.connection.site, silent):
            self._forget(silent)
            self._turn_away(
                silent.connection, "handshake-timeout", f"nothing has come after {self._limits.silent_s:g} s"
            )

    def _may_come_up(self, site: str) -> bool:
        """Tell whether a link of *site* has room once its handshake is over."""
        return self.has_room(site, self.places.of(site), len(self.places))

    def _free_a_descriptor(self) -> bool:
        """Close a stranger that is slow or idle: where few descriptors are left, a newer connection may have more to say."""
        if self._drops_silent(self.silent.oldest_of_most(), self._limits.slow_s):
            return True
        return self.places.displace_silent(self._reactor.loop.time()) or self.make_room()

    def _begin_waiting(self) -> None:
        """Begin the handshakes for which there is a place."""
        if self._beginning:
            return
        self._beginning = True
        try:
            while self.waiting.size and self.places.is_open(self._reactor.loop.time()):
                connection = self.waiting.next(self._has_place)
                if connection is None:
                    break
                self._greet(connection, self.places.silent)
        finally:
            self._beginning = False
        if self.waiting.size:
            self._reactor.set_alarm(self, self._reactor.loop.time() + WAKE_S)

    def _has_place(self, site: str) -> bool:
        return self._may_come_up(site) and self.places.make(site, self._reactor.loop.time())

    def _pause_without_descriptors(self) -> None:
        """Without descriptors accept fails at once and epoll reports again at once: look again a little later."""
        self._is_short = True
        self._reactor.shortage.noticed(self._reactor.loop.time())
        self._pause(self._limits.accept_pause_s)

    def _is_still_short(self) -> bool:
        """Tell whether no descriptor is free for clients, after a slow or idle one has given way."""
        if self._is_short:
            self._is_short = lowest_free() >= self._most and not self._free_a_descriptor()
        return self._is_short

    def _pause(self, for_s: float) -> None:
        """Leave what comes to the kernel's queue for a while."""
        if self.accepting:
            self.accepting = False
            self._reactor.unwatch(self._sock.fileno())
        self._resume_at = self._reactor.loop.time() + for_s
        self._reactor.set_alarm(self, self._resume_at)

    def due(self, now: float) -> None:
        """Begin what has a place by now, and accept again."""
        if self._sock.fileno() < 0:
            return
        if self.waiting.size:
            self._begin_waiting()
        if self.accepting:
            return
        if now < self._resume_at:
            self._reactor.set_alarm(self, self._resume_at)
        elif self._is_still_short():
            self._pause_without_descriptors()
        else:
            self.accepting = True
            self._reactor.watch(self._sock.fileno(), self)

    def broken(self, _error: Exception) -> None:
        """Continue: one connection that failed says nothing about the next."""

    def new_link(self) -> Link:
        """Make the link of an accepted connection."""
        if self._upgrade_policy is not None:
            return WebSocketLink(self._reactor, self._events, self._upgrade_policy)
        return self._link()

    def _link(self) -> Link:
        return Link(self._reactor, self._events, self.kind, Direction.ACCEPTED, self.spec.key)

    def _greet(self, connection: AcceptedConnection, budget: Budget[Greeted], mask: int = 0) -> None:
        """Begin a handshake; with the *mask* of its first event, if the connection is watched already."""
        sock, remote = connection.sock, connection.remote
        link = self.new_link()
        link.remote = remote
        try:
            link.local = self.address if self._is_one_address else address_of(sock.getsockname())
            tls = self._context.accepted(sock)
        except OSError:  # the peer has closed already
            if mask:
                self._reactor.unwatch(connection.fd)
            close_quietly(sock)
            return
        Greeting(self, link, connection, Handshake(self._reactor, self._events, link, tls)).begin(budget, mask)

    @property
    def not_finished(self) -> str:
        """What is said of a handshake at its deadline."""
        return f"not finished after {self._limits.handshake_s:g} s"

    def _turn_away(self, connection: AcceptedConnection, code: str, text: str) -> None:
        link = self._link()
        link.remote = connection.remote
        failure = HandshakeFailure(code, text)
        close_quietly(connection.sock)
        self.refused += 1
        evidence = PeerEvidence(link.direction, link.kind, link.remote, self.address, failure=failure)
        self._events.refused(self._events.judge(link, evidence))

    # Called by connections that are not up yet

    def over(self, verdict: Verdict) -> None:
        """Count the end of a handshake."""
        self.accepted += verdict.accepted
        self.refused += not verdict.accepted
        if self.waiting.size:
            self._begin_waiting()

    def refuse(self) -> None:
        """Have the kernel refuse who connects, although another process has the same socket open (Linux: shutdown)."""
        with suppress(OSError):  # it is closed, or does not listen
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening, and close the connections that are not up yet; links that are up stay."""
        if self._sock.fileno() < 0:
            return
        if self.accepting:
            self._reactor.unwatch(self._sock.fileno())
        self._sock.close()
        for silent in self.silent.all():
            self.silent.remove(silent.connection.site, silent)
            self._forget(silent)
            close_quietly(silent.connection.sock)
        for connection in self.waiting.clear():
            close_quietly(connection.sock)
        for budget in (self.places.silent, self.places.shaking, self.reserved):
            for greeting in budget.all():
                greeting.close("the listener was closed")


def bind_shared(spec: Spec, limits: Limits, count: int) -> list[socket.socket]:
    """Bind *count* sockets to one port, for as many processes: the kernel spreads the connections (SO_REUSEPORT).

    Each process listens on its own. Raises `OperatorError` as `bind` does, also where another server of this user has the port.
    """
    first = bind(spec, limits)
    host, port = address_of(first.getsockname())
    first.close()
    shared = PlainSpec(spec.kind, host, port, spec.name, spec.key)
    return [bind(shared, limits, shared=True) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class PlainSpec:
    """The settings of a listener whose port is known."""

    kind: LinkKind
    host: str
    port: int
    name: str
    key: str


def bind(spec: Spec, limits: Limits, *, shared: bool = False) -> socket.socket:
    """Listen on the address of *spec*; if *shared*, only bind it, beside other sockets of this user. Raises `OperatorError`."""
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        keep_alive(sock)  # accepted sockets inherit it
        if spec.kind is not LinkKind.CLIENT:
            probe_often(sock)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_client_bytes)
        sock.bind((spec.host, spec.port))
        if not shared:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        kind = ForeignAddressError if error.errno == errno.EADDRNOTAVAIL else OperatorError
        raise kind(f"cannot listen on {spec.host} port {spec.port} for {spec.name}: {error.strerror}") from None
    return sock
