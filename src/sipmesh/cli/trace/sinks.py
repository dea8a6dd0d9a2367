"""Where the messages of a trace go: the terminal, JSON, a file, or a collector."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from sipmesh.cli.output import QUIET, say, say_json_lines
from sipmesh.cli.trace.capture import PCAP_HEADER, hep_of, packet_of
from sipmesh.cli.trace.ladder import CLOCK, Ladder
from sipmesh.errors import OperatorError
from sipmesh.foreign_errors import reason_of
from sipmesh.regular_file import read_regular
from sipmesh.server.tracing.hops import Hops

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path
    from typing import BinaryIO

    from sipmesh.server.tracing.traced_message import TracedMessage

COLLECTOR_S: Final = 5.0


class Shown:
    """Prints the ladder, *width* characters wide; with *heads*, all header lines too."""

    def __init__(self, width: int, *, heads: bool) -> None:
        self._hops, self._ladder, self._heads = Hops(), Ladder(width), heads

    def __call__(self, message: TracedMessage) -> None:
        """Print what *message* adds to the ladder."""
        hop = self._hops.hop(message)
        first, *others = [*self._ladder.lines(hop)] or [""]
        if hop.is_first:
            say(first)
        else:
            others = [line for line in [first, *others] if line]
        if others:
            say(*others, style=QUIET)
        if hop.is_first and self._heads:
            say(*(f"{'':{CLOCK}}{line}" for line in message.head.split("\n")), style=QUIET)
        if hop.is_first and message.body:
            say(*(f"{'':{CLOCK}}{line}" for line in ["", *message.body.split("\n")]), style=QUIET)


class JsonLines:
    """Prints each message as JSON, on one line."""

    def __call__(self, message: TracedMessage) -> None:
        """Print *message*."""
        say_json_lines([message])


def pcap_file(file: BinaryIO) -> Callable[[TracedMessage], None]:
    """Return what writes each message once to *file*."""
    hops = Hops()
    file.write(PCAP_HEADER)

    def write(message: TracedMessage) -> None:
        if hops.hop(message).is_first:
            file.write(packet_of(message))
            file.flush()

    return write


def to_collector(opened: ExitStack, address: str, root: Path | None) -> Callable[[TracedMessage], None]:
    """Return what sends each message once to the HEP collector at *address*; raises `OperatorError` if it cannot be reached.

    The certificate of the collector must have its host name, and lead to *root*, or to a root of the system.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise OperatorError(f"--hep needs a host and a port, such as collector.example.com:9061, and not {address}")
    try:
        context = ssl.create_default_context(cadata=read_regular(root).decode() if root is not None else None)
        plain = socket.create_connection((host.strip("[]"), int(port)), COLLECTOR_S)
        link = opened.enter_context(context.wrap_socket(plain, server_hostname=host.strip("[]")))
    except (OSError, ValueError) as wrong:
        raise OperatorError(f"the HEP collector {address} cannot be used: {reason_of(wrong)}") from wrong
    hops = Hops()

    def send(message: TracedMessage) -> None:
        if hops.hop(message).is_first:
            try:
                link.sendall(hep_of(message))
            except OSError as wrong:
                raise OperatorError(f"the HEP collector {address} cannot be written to: {reason_of(wrong)}") from wrong

    return send
