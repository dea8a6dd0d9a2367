"""Virtual sockets of one host: ends of connections, ports, and epolls that watch them."""

from __future__ import annotations

import errno
import select
import socket as real
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from simulation.processes import CURRENT, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.network import Network

Address = tuple[str, int]

ROOM: Final = 262_144
"""Octets that one direction of a connection holds: on the way, and unread at its end."""


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
        self.window = ROOM  # how many of them there may be
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
        return max(0, self.peer.window - self.peer.waiting) if self.peer is not None and self.connected else 0

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
