"""Virtual sockets between virtual hosts: connections deliver in order, late, or not at all, as the faults of the run say."""

from __future__ import annotations

import errno
import select
import socket as real
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from simulation.processes import CURRENT, Process, outside

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from contextvars import Context

    from simulation.loop import VirtualLoop

Address = tuple[str, int]

ROOM: Final = 262_144
"""Octets that one direction of a connection holds: on the way, and unread at its end."""

UNACKNOWLEDGED_S: Final = 30.0
"""How long a sender waits for an acknowledgement (`sipmesh.transport.sockets`, TCP_USER_TIMEOUT)."""

KEEPALIVE_S: Final = 90.0
"""When TCP's keepalive finds out about an idle connection that is cut."""

PROBED_S: Final = 60.0
"""When TCP's keepalive finds out that the other end of an idle connection is gone (TCP_KEEPIDLE)."""

A_SPLIT: Final = 0.05
"""How often a write arrives in two parts."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one write of a TLS engine brings to the other end; *kind* is hello, server, client, data or close.

    Data may arrive in two parts, unless it is *whole*.
    """

    kind: str
    data: bytes = b""
    chain: tuple[bytes, ...] = ()
    whole: bool = False


@dataclass(eq=False)
class Port:
    """A port that is bound: processes that share the socket have a handle each. *is_shared*: other sockets may be bound to it."""

    backlog: deque[VirtualSocket] = field(default_factory=deque)
    handles: list[VirtualSocket] = field(default_factory=list)
    is_shared: bool = False


class VirtualSocket:
    """One end of a connection, or a listening socket; blocking calls are not possible.

    *host* is whose end it is. A socket of a server has a *process* and a descriptor; *notice* is called for all others.
    """

    def __init__(self, network: Network, host: str, process: Process | None) -> None:
        self.network, self.host, self.process = network, host, process
        self.number = process.descriptor(self) if process is not None else 0
        self.local: Address = (network.address_of(host), 0)
        self.remote: Address = ("", 0)
        self.peer: VirtualSocket | None = None
        self.inbox: deque[Record] = deque()
        self.port = Port()
        self.connected = self.eof = self.closed = False
        self.error = 0
        self.waiting = 0  # octets on the way to our inbox or in it
        self.arrives_at = 0.0  # no later record of our peer may arrive earlier
        self.unacknowledged_since = 0.0
        self.cut_off: list[tuple[VirtualSocket, Record]] = []
        self.epoll: VirtualEpoll | None = None
        self.notice: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<VirtualSocket {self.host} {self.local} {self.remote}>"

    # As the product uses a socket

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return -1 if self.closed else self.number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def backlog(self) -> deque[VirtualSocket]:
        """The connections that were not accepted yet."""
        return self.port.backlog

    def setsockopt(self, _level: int, option: int, _value: int) -> None:
        """Accept every option."""
        self.port.is_shared = self.port.is_shared or option == real.SO_REUSEPORT

    def settimeout(self, _: float) -> None:
        """Accept: nothing blocks."""

    def getsockopt(self, _level: int, option: int) -> int:
        """Return the pending error, and clear it."""
        found, self.error = (self.error, 0) if option == real.SO_ERROR else (0, self.error)
        return found

    def getsockname(self) -> Address:
        """Return our address."""
        return self.local

    def bind(self, address: Address) -> None:
        """Choose our address; fails for an address of another host, and for a port in use."""
        if self.network.hosts.get(address[0]) not in {self.host, None} or address[0] not in self.network.hosts:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        if any(not (port.is_shared and self.port.is_shared) for port in self.network.listeners.get(address, ())):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.local = address
        self.port.handles.append(self)

    def listen(self, _backlog: int) -> None:
        """Accept connections from now on."""
        ports = self.network.listeners.setdefault(self.local, [])
        if self.port not in ports:
            ports.append(self.port)

    def accept(self) -> tuple[VirtualSocket, Address]:
        """Return the next connection."""
        if self.process is not None and self.process.without_descriptors:
            raise OSError(errno.EMFILE, "Too many open files")
        if not self.backlog:
            raise BlockingIOError
        found = self.backlog.popleft()
        found.process = self.process
        if self.process is not None:
            found.number = self.process.descriptor(found)
        return found, found.remote

    def connect(self, address: Address) -> None:
        """Begin to connect."""
        if self.process is not None and self.process.without_descriptors:
            raise OSError(errno.EMFILE, "Too many open files")
        self.network.connect(self, address)
        raise BlockingIOError

    def shutdown(self, _how: int) -> None:
        """Send the end of our data."""
        if self.error or self.eof:
            raise OSError(errno.ENOTCONN, "not connected")
        self.network.post(self, Record("fin"))

    def recv(self, _size: int) -> bytes:
        """Return the octets of one record; control records count as one octet."""
        if self.inbox:
            return self.take().data or b"\0"
        if self.eof or self.error:
            return b""
        raise BlockingIOError

    def close(self) -> None:
        """Close our end; the peer reads what was sent before, and then the end."""
        if self.closed:
            return
        self.network.post(self, Record("fin" if not self.inbox else "rst"))
        self.discard()

    # Between the processes of a server

    def send(self, data: bytes) -> int:
        """Send what there is room for."""
        if self.error or self.peer is None:
            raise BrokenPipeError
        count = min(self.room, len(data))
        if not count:
            raise BlockingIOError
        self.put(Record("data", bytes(data[:count])))
        return count

    def shared_with(self, process: Process) -> VirtualSocket:
        """Return this socket as *process* has it. A port has both then; our end of a connection is the other process's alone."""
        theirs = VirtualSocket(self.network, self.host, process)
        theirs.local, theirs.remote = self.local, self.remote
        if self.peer is None:
            theirs.port = self.port
            self.port.handles.append(theirs)
            return theirs
        theirs.inbox, theirs.peer, theirs.connected = self.inbox, self.peer, True
        self.peer.peer, self.peer, self.connected = theirs, None, False
        return theirs

    # For the TLS engine and for phones

    def take(self) -> Record:
        """Take the next record; its octets make room for more."""
        record = self.inbox.popleft()
        self.waiting -= len(record.data)
        peer = self.peer
        if peer is not None and peer.epoll is not None:
            peer.epoll.touch(peer.number)
        return record

    @property
    def room(self) -> int:
        """How many octets may be sent now."""
        return ROOM - self.peer.waiting if self.peer is not None and self.connected else 0

    @property
    def unread(self) -> int:
        """How many octets have arrived and were not read; control records count as one octet."""
        return sum(len(record.data) or 1 for record in self.inbox)

    def put(self, record: Record) -> None:
        """Send a record; the caller has looked for room."""
        self.network.post(self, record)

    def discard(self) -> None:
        """End this socket without a packet, as the end of its process does."""
        self.closed = True
        if self in self.port.handles:
            self.port.handles.remove(self)
            self._close_port()
        if self.process is not None:
            self.process.sockets.pop(self.number, None)
        if self.epoll is not None:
            self.epoll.unregister(self.number)
        self.network.open.pop(self, None)

    def _close_port(self) -> None:
        """Close the port with its last handle."""
        ports = self.network.listeners.get(self.local, [])
        if self.port.handles or self.port not in ports:
            return
        ports.remove(self.port)
        if not ports:
            del self.network.listeners[self.local]
        for waiting in self.backlog:
            waiting.close()

    def break_off(self, error: int) -> None:
        """Let the connection fail here."""
        if not self.closed and not self.error:
            self.error, self.eof = error, True
            self.changed()

    def changed(self) -> None:
        """Report that the socket may be readable or writable now."""
        if self.closed:
            return
        if self.epoll is not None:
            self.epoll.touch(self.number)
        elif self.notice is not None:
            self.notice()

    def ready_for(self, mask: int) -> int:
        """Return which of the events in *mask* the socket is ready for."""
        found = 0
        if self.inbox or self.eof or self.error or self.backlog:
            found |= select.EPOLLIN
        if self.error or (self.connected and self.room > 0):
            found |= select.EPOLLOUT
        return found & (mask | select.EPOLLHUP)


class VirtualEventfd(VirtualSocket):
    """A descriptor that is always readable."""

    def ready_for(self, mask: int) -> int:
        """Return which of the events in *mask* it is ready for."""
        return mask & select.EPOLLIN


class VirtualEpoll(VirtualSocket):
    """An epoll of one process: level-triggered; the loop calls its reader while a socket is ready. Another epoll may watch it."""

    def __init__(self, network: Network) -> None:
        process = CURRENT.get()
        assert process is not None
        super().__init__(network, process.name, None)
        network.epolls += 1
        self.process, self._process = process, process
        self.number = 1_000_000 + network.epolls
        process.sockets[self.number] = self
        self._masks: dict[int, int] = {}
        self._touched: dict[int, None] = {}
        self._woken = False

    def ready_for(self, mask: int) -> int:
        """Return whether a socket may be ready."""
        return mask & select.EPOLLIN if self._touched else 0

    def register(self, fd: int, mask: int) -> None:
        """Watch a socket."""
        self._masks[fd] = mask
        self._process.sockets[fd].epoll = self
        self.touch(fd)

    def modify(self, fd: int, mask: int) -> None:
        """Wait for other events."""
        self._masks[fd] = mask
        self.touch(fd)

    def unregister(self, fd: int) -> None:
        """Watch a socket no longer."""
        self._masks.pop(fd, None)
        self._touched.pop(fd, None)
        if fd in self._process.sockets:
            self._process.sockets[fd].epoll = None

    def touch(self, fd: int) -> None:
        """Look at a socket in the next poll."""
        mask = self._masks.get(fd)
        if mask is None:
            return
        sock = self._process.sockets.get(fd)
        if sock is not None and sock.ready_for(mask):
            self._touched[fd] = None
            self._rouse()

    def _rouse(self) -> None:
        if self.epoll is not None:
            self.epoll.touch(self.number)
        elif not self._woken:
            self._woken = True
            self.network.loop.wake(self.number)

    def poll(self, _timeout: float | None, most: int) -> list[tuple[int, int]]:
        """Return the sockets that are ready."""
        self._woken = False
        touched, self._touched = list(self._touched), {}
        found: list[tuple[int, int]] = []
        for fd in touched:
            sock, mask = self._process.sockets.get(fd), self._masks.get(fd, 0)
            events = sock.ready_for(mask) if sock is not None else 0
            if events:
                self._touched[fd] = None  # level-triggered: looked at again next time
                if len(found) < most:
                    found.append((fd, events))
                    if mask & select.EPOLLONESHOT:
                        self._masks[fd] = 0
                        del self._touched[fd]
        if self._touched:
            self._rouse()
        return found

    def close(self) -> None:
        """Watch nothing."""
        self._masks.clear()
        self._touched.clear()
        self.discard()


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
