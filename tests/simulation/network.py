"""The network between virtual hosts: connections deliver in order, late, or not at all, as the faults of the run say."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simulation.processes import CURRENT, Process, outside
from simulation.virtual_sockets import Address, Port, Record, VirtualEventfd, VirtualSocket

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from contextvars import Context

    from simulation.loop import VirtualLoop

UNACKNOWLEDGED_S: Final = 30.0
"""How long a sender waits for an acknowledgement (`sipmesh.transport.sockets`, TCP_USER_TIMEOUT)."""

KEEPALIVE_S: Final = 90.0
"""When TCP's keepalive finds out about an idle connection that is cut."""

PROBED_S: Final = 60.0
"""When TCP's keepalive finds out that the other end of an idle connection is gone (TCP_KEEPIDLE)."""

A_SPLIT: Final = 0.05
"""How often a write arrives in two parts."""


@dataclass
class Network:
    """All hosts and connections.

    *cut* are the directions from host to host that lose everything, *slow* those with so many seconds of delay more.
    """

    loop: VirtualLoop
    chance: random.Random
    hosts: dict[str, str] = field(default_factory=dict)
    listeners: dict[Address, list[Port]] = field(default_factory=dict)
    open: dict[VirtualSocket, None] = field(default_factory=dict)
    cut: set[tuple[str, str]] = field(default_factory=set)
    slow: dict[tuple[str, str], float] = field(default_factory=dict)
    epolls: int = 0
    _ports: int = 40_000
    _outside: Context = field(default_factory=outside)
    _addresses: dict[str, str] = field(default_factory=dict)

    def address_of(self, host: str) -> str:
        """Return the address of a host; a new host gets one."""
        if host not in self._addresses:
            number = len(self._addresses) + 1
            self.name(host, f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}")
        return self._addresses[host]

    def name(self, host: str, address: str) -> None:
        """Give a host its address."""
        self._addresses[host] = address
        self.hosts[address] = host

    def socket(self, *_: Any) -> VirtualSocket:
        """Open a socket of the current process."""
        process = CURRENT.get()
        assert process is not None, "a socket outside of the servers"
        return VirtualSocket(self, process.name, process)

    def socketpair(self, *_: int) -> tuple[VirtualSocket, VirtualSocket]:
        """Open two sockets of the current process that are connected with each other."""
        one, other = self.socket(), self.socket()
        one.peer, other.peer = other, one
        one.connected = other.connected = True
        return one, other

    def eventfd(self, *_: int) -> int:
        """Open a descriptor of the current process that is always readable."""
        process = CURRENT.get()
        assert process is not None, "an eventfd outside of the servers"
        return VirtualEventfd(self, process.name, process).number

    def close_eventfd(self, fd: int) -> None:
        """Close such a descriptor."""
        process = CURRENT.get()
        if process is not None and fd in process.sockets:
            process.sockets[fd].discard()

    def unread(self, fd: int) -> int:
        """Return how many octets wait in a socket of the current process."""
        process = CURRENT.get()
        return process.sockets[fd].unread if process is not None and fd in process.sockets else 0

    def lowest_free(self) -> int:
        """Return the number of the next descriptor of the current process; too high a number if it can open none."""
        process = CURRENT.get()
        return 1 << 31 if process is not None and process.without_descriptors else 0

    def _later(self, seconds: float, act: Callable[..., object], *args: object) -> None:
        """Do something in no process: what is on its way arrives, also if its sender hangs or dies meanwhile."""
        self.loop.call_later(seconds, act, *args, context=self._outside)

    def _delay(self, source: str, target: str) -> float:
        slow = self.slow.get((source, target), 0.0)
        return 0.0005 + 0.004 * self.chance.random() + slow * self.chance.random()

    def _is_cut(self, source: str, target: str) -> bool:
        return (source, target) in self.cut

    # Connections

    def connect(self, sock: VirtualSocket, address: Address) -> None:
        """Begin a connection to *address*; a host that is cut off does not answer."""
        self._ports += 1
        sock.local, sock.remote = (self.address_of(sock.host), self._ports), address
        target = self.hosts.get(address[0], "")
        if self._is_cut(sock.host, target) or self._is_cut(target, sock.host):
            return
        round_trip = self._delay(sock.host, target) + self._delay(target, sock.host)
        self._later(round_trip, self._connected, sock, address)

    def _connected(self, sock: VirtualSocket, address: Address) -> None:
        if sock.closed:
            return
        ports = self.listeners.get(address)
        if not ports:
            sock.break_off(errno.ECONNREFUSED)
            return
        port = ports[0] if len(ports) == 1 else self.chance.choice(ports)
        accepted = VirtualSocket(self, port.handles[0].host, None)
        accepted.local, accepted.remote = address, sock.local
        accepted.peer, sock.peer = sock, accepted
        accepted.connected = sock.connected = True
        self.open[accepted] = self.open[sock] = None
        port.backlog.append(accepted)
        for handle in list(port.handles):
            handle.changed()
        sock.changed()

    def post(self, sock: VirtualSocket, record: Record) -> None:
        """Bring a record to the other end, behind all earlier records of the same direction."""
        peer = sock.peer
        if peer is None or sock.error:
            return
        splits = record.kind == "data" and len(record.data) > 1 and not record.whole
        if splits and self.chance.random() < A_SPLIT:
            middle = max(1, int(len(record.data) * self.chance.random()))
            self._post(sock, peer, Record("data", record.data[:middle]))
            record = Record("data", record.data[middle:])
        self._post(sock, peer, record)

    def _post(self, sock: VirtualSocket, peer: VirtualSocket, record: Record) -> None:
        peer.waiting += len(record.data)
        at = max(peer.arrives_at, self.loop.now + self._delay(sock.host, peer.host))
        peer.arrives_at = at
        self._later(at - self.loop.now, self._arrive, sock, peer, record)

    def _arrive(self, sock: VirtualSocket, peer: VirtualSocket, record: Record) -> None:
        """Deliver a record, or keep it for as long as this direction loses everything."""
        cut = self._is_cut(sock.host, peer.host)
        if cut or self._is_cut(peer.host, sock.host):
            self._begin_timeout(sock)
        if cut and record.kind == "rst":  # nothing sends a reset again
            self._half_open(peer)
            return
        if cut or (peer.cut_off and not peer.closed):
            peer.cut_off.append((sock, record))
            return
        self._deliver(sock, peer, record)

    def _begin_timeout(self, sock: VirtualSocket) -> None:
        if not sock.unacknowledged_since:
            sock.unacknowledged_since = self.loop.now
            self._later(UNACKNOWLEDGED_S, self._time_out, sock)

    def _time_out(self, sock: VirtualSocket) -> None:
        if sock.unacknowledged_since:
            sock.break_off(errno.ETIMEDOUT)
            self._half_open(sock.peer)

    def _half_open(self, sock: VirtualSocket | None) -> None:
        """The other end of *sock* is gone, and no packet has said so: only a write or a probe finds out."""
        if sock is not None and not sock.closed:
            self._later(PROBED_S, self._probe, sock)

    def _probe(self, sock: VirtualSocket) -> None:
        peer = sock.peer
        if sock.closed or sock.error or peer is None or not (peer.closed or peer.error):
            return
        if self._is_cut(sock.host, peer.host) or self._is_cut(peer.host, sock.host):
            self._half_open(sock)
        else:
            sock.break_off(errno.ECONNRESET)

    def _deliver(self, sock: VirtualSocket, peer: VirtualSocket, record: Record) -> None:
        if peer.closed:
            if record.kind not in {"fin", "rst", "close"} and not self._is_cut(peer.host, sock.host):
                sock.break_off(errno.ECONNRESET)
            return
        if record.kind == "rst":
            peer.break_off(errno.ECONNRESET)
        elif record.kind == "fin":
            peer.eof = True
        else:
            peer.inbox.append(record)
        peer.changed()

    # Faults

    def cut_between(self, one: str, other: str, *, both: bool) -> None:
        """Lose everything from *one* to *other* from now on, or in both directions."""
        self.cut.add((one, other))
        if both:
            self.cut.add((other, one))
        self._later(KEEPALIVE_S, self._notice_cut, one, other)

    def _notice_cut(self, one: str, other: str) -> None:
        if self._is_cut(one, other):
            for sock in list(self.open):
                if sock.peer is not None and {sock.host, sock.peer.host} == {one, other}:
                    sock.break_off(errno.ETIMEDOUT)

    def heal(self, one: str, other: str) -> None:
        """Bring everything that was kept, in order, and lose nothing more."""
        self.cut -= {(one, other), (other, one)}
        for sock in list(self.open):
            if sock.peer is not None and {sock.host, sock.peer.host} == {one, other}:
                sock.unacknowledged_since = 0.0
                if sock.peer.closed and sock.peer.cut_off:  # what is sent again finds no connection
                    sock.break_off(errno.ECONNRESET)
                kept, sock.cut_off = sock.cut_off, []
                for sender, record in kept:
                    self._deliver(sender, sock, record)

    def between(self, one: str, other: str) -> list[VirtualSocket]:
        """List the ends at *one* of the connections between two hosts, oldest first."""
        return [sock for sock in self.open if sock.host == one and sock.peer is not None and sock.peer.host == other]

    def reset(self, sock: VirtualSocket) -> None:
        """End a connection as a middlebox does: both ends read an error."""
        for end in (sock, sock.peer):
            if end is not None:
                end.break_off(errno.ECONNRESET)

    def end_of(self, process: Process, *, silently: bool) -> None:
        """Close all sockets of a dead process; *silently* as at a loss of power, where no packet says so."""
        for sock in list(process.sockets.values()):
            if silently:
                self._half_open(sock.peer)
            elif sock.connected:
                self.post(sock, Record("rst"))
            sock.discard()
