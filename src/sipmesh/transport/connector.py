"""Opening links: the connector dials the candidate addresses in order. The link queues messages meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import SipmeshError
from sipmesh.routing.proxy.locate import Locate, is_ip
from sipmesh.transport.handshake import Handshake
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkInput, LinkState
from sipmesh.transport.resolver import NoResolver, Resolver, locate
from sipmesh.transport.sockets import (
    address_of,
    bind_source,
    close_quietly,
    is_of_this_machine,
    keep_alive,
    probe_often,
)
from sipmesh.transport.tls.application_protocol import offered_to
from sipmesh.transport.watched import READ, WRITE
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind
from sipmesh.trust.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.topology.reachable_addresses import ReachableAddresses
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.contexts import OpeningContext

NOBODY: Final = "no address was found"


def chosen_by_kernel(_hop: Hop) -> str:
    """Give "": the kernel chooses the address from which a hop is dialled."""
    return ""


class DialFailure(NamedTuple):
    """The reason why a dial failed; dials until loop time *until* (in seconds) fail with the same reason."""

    until: float
    why: str
    verdict: Verdict | None


class Connector:
    """Dials hops.

    *context_for* gives the TLS context of a link: what we present, and which anchors we trust. *source* gives the address from
    which a hop is dialled, "" if the kernel chooses. *reachable* gives where the DNS names of partners may lead; None means
    anywhere.
    """

    def __init__(
        self,
        reactor: Reactor,
        events: LinkEvents,
        context_for: Callable[[Hop], OpeningContext],
        resolver: Resolver | None = None,
        *,
        limits: Limits | None = None,
        source: Callable[[Hop], str] = chosen_by_kernel,
        reachable: Callable[[], ReachableAddresses] | None = None,
    ) -> None:
        self._reachable = reachable
        self.reactor, self.events, self.context_for = reactor, events, context_for
        self.resolver: Resolver = resolver or NoResolver()
        self.limits = limits or reactor.limits
        self.source = source
        self._failed_at: dict[tuple[str, tuple[str, int]], float] = {}
        self._refusals: dict[tuple[str, LinkKind], DialFailure] = {}
        self._searches: set[asyncio.Task[None]] = set()

    def dial(self, hop: Hop, past: Link | None = None) -> Link:
        """Start to open a link; with *past*, to another address than that of this link to the same peer.

        The link accepts messages at once. ``link_up`` or ``link_down`` follows later. Within ``redial_s`` after a failed
        dial of the same hop, the link fails with the same reason.
        """
        link = Link(self.reactor, self.events, hop.kind, Direction.OPENED, hop.listener)
        link.hop, link.names, link.opener, link.is_control = hop, (hop.name,), self, hop.control
        self.reactor.links.add(link, link.names)
        refusal = self._refusals.get((hop.name, hop.kind))
        if refusal is not None and refusal.until > self.reactor.loop.time():
            link.fail(refusal.why, refusal.verdict)
            return link
        dial = Dial(self, link, hop, past)
        dial.begin()
        known = _static(hop)
        if known is None:
            self._search(dial, hop)
        else:
            dial.try_these(known)
        return link

    def _search(self, dial: Dial, hop: Hop) -> None:
        task = self.reactor.loop.create_task(self._locate(dial, hop))
        self._searches.add(task)
        task.add_done_callback(self._searches.discard)

    async def _locate(self, dial: Dial, hop: Hop) -> None:
        """Ask DNS for every part of *hop* that needs it; the dial ignores an answer that comes too late."""
        found: list[tuple[str, int]] = []
        why = ""
        for question, is_named in _to_locate(hop, os.urandom(8)):
            try:
                addresses = await locate(question, self.resolver)
            except SipmeshError as error:
                why = str(error)
                continue
            refused = ["" if is_named else self._refused(hop, address) for address, _ in addresses]
            found += [address for address, wrong in zip(addresses, refused, strict=True) if not wrong]
            why = next(filter(None, refused), why)
        dial.try_these(found[: self.limits.candidates], why)

    def _refused(self, hop: Hop, address: str) -> str:
        """Say why an address that DNS gives for a partner is not dialled; "" if it may be."""
        if hop.kind is not LinkKind.PARTNER or self._reachable is None:
            return ""
        wrong = self._reachable().refused(hop.name, address, is_of_this_machine)
        return wrong and f"DNS leads to {wrong}: if that is right, add its network to federation.networks"

    def ordered(self, hop: Hop, addresses: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Sort addresses that failed lately to the end, and otherwise keep the order (RFC 3263 4.3)."""
        now = self.reactor.loop.time()
        return sorted(dict.fromkeys(addresses), key=lambda address: self._failed_at.get((hop.name, address), 0.0) > now)

    def remember_failure(self, hop: Hop, address: tuple[str, int]) -> None:
        """Try *address* last for ``penalty_s``."""
        now = self.reactor.loop.time()
        if len(self._failed_at) >= self.limits.candidates**2:
            self._failed_at = {key: until for key, until in self._failed_at.items() if until > now}
        if len(self._failed_at) < self.limits.candidates**2:
            self._failed_at[hop.name, address] = now + self.limits.penalty_s

    def refused_late(self, link: Link) -> None:
        """The peer closed a link before its first SIP byte: the next dial starts with another address."""
        if link.hop is not None:
            self.remember_failure(link.hop, link.remote)

    def remember_refusal(self, hop: Hop, why: str, verdict: Verdict | None) -> None:
        """Fail the next dials of *hop* with the same reason for ``redial_s``."""
        until = self.reactor.loop.time() + self.limits.redial_s
        if len(self._refusals) >= self.limits.candidates**2:
            self._refusals.clear()
        self._refusals[hop.name, hop.kind] = DialFailure(until, why, verdict)

    def forget_failures(self) -> None:
        """Forget failed addresses and refusals, for example after a new topology or a new certificate."""
        self._failed_at.clear()
        self._refusals.clear()

    async def close(self) -> None:
        """Stop looking for addresses; the pool closes the links."""
        searches = list(self._searches)
        for task in searches:
            task.cancel()
        await asyncio.gather(*searches, return_exceptions=True)


class Dial:
    """One link that is being opened: its candidates, the socket of the current candidate, and why the last one failed.

    The address of the link *past* is no candidate.
    """

    __slots__ = (
        "_candidates",
        "_connector",
        "_handshake",
        "_hop",
        "_link",
        "_over_at",
        "_past",
        "_sock",
        "_until",
        "_verdict",
        "_why",
    )

    def __init__(self, connector: Connector, link: Link, hop: Hop, past: Link | None = None) -> None:
        self._connector, self._link, self._hop, self._past = connector, link, hop, past
        self._candidates: deque[tuple[str, int]] = deque()
        self._sock: socket.socket | None = None
        self._handshake: Handshake | None = None
        self._verdict: Verdict | None = None
        self._why = NOBODY
        self._until = self._over_at = connector.reactor.loop.time() + connector.limits.dial_s

    def begin(self) -> None:
        """Drive the link from now on; DNS and all candidates together have ``dial_s``."""
        self._link.begin(self, LinkInput.CONNECT)
        self._connector.reactor.set_alarm(self._link, self._over_at)

    def try_these(self, addresses: Sequence[tuple[str, int]], why: str = "") -> None:
        """Dial *addresses* in order; do nothing if the link was closed meanwhile."""
        if self._link.state is LinkState.CLOSED:
            return
        self._why = why or self._why
        if self._past is not None:
            addresses = [address for address in addresses if not self._past.is_at(address)]
        self._candidates.extend(self._connector.ordered(self._hop, addresses)[: self._connector.limits.candidates])
        self._next()

    def _next(self) -> None:
        while self._candidates:
            address = self._candidates.popleft()
            try:
                self._connect(address)
            except OSError as error:
                self._note(address, f"{error.strerror or error}")
            else:
                return
        why = f"{self._hop.name} cannot be reached: {self._why}"
        if self._past is None:  # otherwise one address is left that was not tried
            self._connector.remember_refusal(self._hop, why, self._verdict)
        self._link.fail(why, self._verdict)

    def _connect(self, address: tuple[str, int]) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            keep_alive(sock)
            if self._hop.kind is not LinkKind.CLIENT:
                probe_often(sock)
            bind_source(sock, self._connector.source(self._hop), address[0])
            sock.connect(address)
        except BlockingIOError:
            pass  # in progress: epoll reports the result
        except OSError:
            sock.close()
            raise
        self._sock = sock
        self._link.remote = address
        self._link.begin(self, LinkInput.CONNECT)
        self._connector.reactor.watch(sock.fileno(), self._link, WRITE)
        self._wait(self._bound(self._connector.limits.connect_s))

    def _bound(self, seconds: float) -> float:
        """Bound one step of a dial by *seconds*, and to a server of ours by ``server_dial_s``."""
        return min(seconds, self._connector.limits.server_dial_s) if self._hop.kind is LinkKind.SERVER else seconds

    def _wait(self, seconds: float) -> None:
        self._until = min(self._connector.reactor.loop.time() + seconds, self._over_at)
        self._connector.reactor.set_alarm(self._link, self._until)

    def _note(self, address: tuple[str, int], why: str) -> None:
        self._why = f"{address[0]} port {address[1]}: {why}"
        self._connector.remember_failure(self._hop, address)

    def ready(self, _mask: int) -> None:
        """Act on the result of the TCP connection, or take a step of the handshake."""
        if self._handshake is not None:
            self._step(self._handshake)
        elif self._sock is not None:
            self._connected(self._sock)

    def _connected(self, sock: socket.socket) -> None:
        error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number:
            self._give_up(os.strerror(error_number))
            return
        self._link.local = address_of(sock.getsockname())
        name = "" if is_ip(self._hop.name) else self._hop.name  # RFC 6066 3: no literal addresses in SNI
        tls = self._connector.context_for(self._hop).opened(sock, name, offered_to(self._hop))
        self._sock = None
        self._handshake = Handshake(self._connector.reactor, self._connector.events, self._link, tls)
        self._link.begin(self, LinkInput.GREET)
        self._connector.reactor.rewatch(tls.fileno(), READ)
        self._wait(self._bound(self._connector.limits.handshake_s))
        self._step(self._handshake)

    def _step(self, handshake: Handshake) -> None:
        verdict = handshake.step()
        if verdict is not None:
            self._judged(verdict)

    def _judged(self, verdict: Verdict) -> None:
        self._handshake = None
        if verdict.accepted:
            return
        self._verdict = verdict
        self._note(self._link.remote, f"{verdict.code}")
        if self._link.state is not LinkState.CLOSED:
            self._next()

    def _give_up(self, why: str) -> None:
        self._note(self._link.remote, why)
        self._drop()
        self._next()

    def _drop(self) -> None:
        """Close the current socket after the batch, so that its number is not used again within the batch."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._connector.reactor.unwatch(sock.fileno())
            self._connector.reactor.close_later(Dropped(sock))

    def due(self, now: float) -> None:
        """End the current candidate, or the whole dial, because its time is over."""
        limits = self._connector.limits
        if now < self._until:  # the alarm was set for an earlier candidate
            self._connector.reactor.set_alarm(self._link, self._until)
            return
        if now >= self._over_at:
            self._candidates.clear()
        if self._handshake is not None:
            text = f"not finished after {self._bound(limits.handshake_s):g} s"
            self._judged(self._handshake.end(HandshakeFailure("handshake-timeout", text)))
        elif self._sock is not None:
            self._give_up(f"no answer within {self._bound(limits.connect_s):g} s")
        else:
            self._next()

    def abandon(self) -> None:
        """Stop: the owner of the link closed it."""
        self._candidates.clear()
        self._drop()
        if self._handshake is not None:
            self._handshake.abandon()
            self._handshake = None


class Dropped:
    """A socket on which TLS never started; it is closed after the batch."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def close_socket(self) -> None:
        """Close the socket."""
        close_quietly(self._sock)


def _static(hop: Hop) -> list[tuple[str, int]] | None:
    """Return the addresses of *hop*, or None if one of them needs DNS."""
    if hop.addresses is None:
        return None
    known = [(host, port) for host, port in hop.addresses if host is not None and is_ip(host)]
    return known if len(known) == len(hop.addresses) else None


def _to_locate(hop: Hop, entropy: bytes) -> list[tuple[Locate, bool]]:
    """List what has to be located: each static address, or the hop itself. True is beside an address that needs no DNS."""
    if hop.addresses is None:
        return [(Locate(hop.name, hop.port, hop.service, entropy=entropy), False)]
    return [
        (Locate(host or hop.name, port, None, entropy=entropy), host is not None and is_ip(host))
        for host, port in hop.addresses
    ]
