"""The listening sockets of a server of several processes: the supervisor opens them, and each worker gets its own."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.proxy.outside import Ports
from sipmesh.transport.accept.listener import PlainSpec, bind, bind_shared
from sipmesh.transport.sockets import address_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.transport.limits import Limits


class HeldPorts(Ports):
    """The sockets of all workers, by the key of their port.

    The sockets stay open here: what connects when no worker serves waits for the next one. *opened* is called with the key of
    each port that was opened.
    """

    def __init__(self, count: int, limits: Limits, opened: Callable[[str], None]) -> None:
        self._count, self._limits, self._opened = count, limits, opened
        self._sockets: dict[str, list[socket.socket]] = {}
        self._specs: dict[str, PlainSpec] = {}

    @property
    def keys(self) -> list[str]:
        """The ports that are open."""
        return list(self._sockets)

    def socket_for(self, spec: ListenerSpec) -> socket.socket:
        """Open a port for every worker; returns a socket of our own, on which no process listens. Raises `OperatorError`."""
        self._sockets[spec.key] = bind_shared(spec, self._limits, self._count)
        self._specs[spec.key] = PlainSpec(spec.kind, *self.address(spec.key), spec.name, spec.key)
        self._opened(spec.key)
        return bind(self._specs[spec.key], self._limits, shared=True)

    def of(self, key: str, worker: int) -> socket.socket:
        """Return the socket of *worker*, counted from 1."""
        return self._sockets[key][worker - 1]

    def address(self, key: str) -> tuple[str, int]:
        """Return the address and port that is bound."""
        return address_of(self._sockets[key][0].getsockname())

    def renew(self, worker: int) -> None:
        """Give *worker* new sockets, so that no connection waits at the old sockets. Raises `OperatorError`.

        A connection that waits at an old socket is reset, and its peer comes to another worker when it connects again.
        """
        for key, sockets in self._sockets.items():
            spec = self._specs[key]
            sockets[worker - 1].close()
            sockets[worker - 1] = bind(spec, self._limits, shared=True)

    def close(self) -> None:
        """Close the sockets, so that no peer connects any more."""
        for sockets in self._sockets.values():
            for sock in sockets:
                sock.close()
        self._sockets.clear()


class GivenPorts(Ports):
    """The sockets that a worker was given."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}

    def give(self, key: str, sock: socket.socket) -> None:
        """Keep the socket of a port until a listener takes it."""
        sock.settimeout(0)
        self._sockets[key] = sock

    def socket_for(self, spec: ListenerSpec) -> socket.socket:
        """Return the socket of a port; raises `OperatorError` if the supervisor has not opened it."""
        sock = self._sockets.pop(spec.key, None)
        if sock is None:
            raise OperatorError(f"the port {spec.key} is not open")
        return sock
