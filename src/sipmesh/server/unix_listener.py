"""A listening Unix socket, which gives each connection to its owner in the callback that accepts it.

asyncio's own server begins a task for each connection. If it is closed before that task runs, the connection stays open.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipmesh.server.log import Log

BACKLOG: Final = 100
PAUSE_S: Final = 1.0
"""How long nothing is accepted if no descriptor is free: each attempt would fail at once."""


class UnixListener:
    """Listens at *path*, for our own user alone; *took* is given each connection, whose socket does not block.

    It belongs to the event loop that runs when it is made. Raises `OSError` if the path cannot be used.
    """

    def __init__(self, path: Path, took: Callable[[socket.socket], None], log: Log) -> None:
        self._took, self._log = took, log
        self._loop = asyncio.get_running_loop()
        self._paused: asyncio.TimerHandle | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(os.fspath(path))
            path.chmod(0o600)
            self._socket.listen(BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self._go_on()

    def _go_on(self) -> None:
        self._paused = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        try:
            connected, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as wrong:
            self._log.warning("no control connection is accepted for a while", why=str(wrong), seconds=PAUSE_S)
            self._loop.remove_reader(self._socket)
            self._paused = self._loop.call_later(PAUSE_S, self._go_on)
            return
        connected.settimeout(0)  # it does not block
        self._took(connected)

    def close(self) -> None:
        """Stop listening; the socket file stays."""
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
