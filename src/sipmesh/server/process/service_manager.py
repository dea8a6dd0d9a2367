"""What the service manager learns of this process: sd_notify(3), which systemd and others read."""

from __future__ import annotations

import os
import socket
from typing import Final

READY: Final = "READY=1"
"""The ports are open, and the server serves."""

STOPPING: Final = "STOPPING=1"
"""The server drains, and the process ends."""


def notify(state: str) -> None:
    """Send *state* to the service manager that started this process; without one, nothing is sent.

    Raises `OSError` if the socket in ``NOTIFY_SOCKET`` does not take it.
    """
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    address = f"\0{where[1:]}" if where.startswith("@") else where  # @: a name of Linux without a file, unix(7)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.connect(address)
        manager.sendall(state.encode())
