"""One message as a trace shows it, and the reply to who traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sipmesh.server.control_socket import ControlCommand


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """A message that *server* has *received*, or else has sent, on a link, at time *at* (UTC, by the clock of that server).

    *peer* is the other end: the name that its certificate has proved, the users who have logged in on the link, or its address.
    *proof* says how it is known, and *code* is the verdict on the link. *local* and *remote* are the addresses of the link.
    *branch* is that of the topmost Via. *head* are the start line and the header lines, with line feeds. *body* is empty unless
    the trace asks for bodies; *octets* is its length.
    """

    at: datetime
    server: str
    received: bool
    link: str
    kind: str
    peer: str
    proof: str
    code: str
    local: str
    remote: str
    call_id: str
    cseq: str
    branch: str
    head: str
    octets: int
    body: str = ""

    @property
    def clock(self) -> str:
        """The time of the day with milliseconds (UTC)."""
        return f"{self.at:%H:%M:%S}.{self.at.microsecond // 1000:03d}"

    @property
    def start_line(self) -> str:
        """The Request-Line or the Status-Line."""
        return self.head.partition("\n")[0]

    @property
    def told(self) -> str:
        """The method, or the status with its reason."""
        first, _, rest = self.start_line.partition(" ")
        return first if self.is_request else rest

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return not self.head.startswith("SIP/")


@dataclass(frozen=True, slots=True)
class TraceReply:
    """The messages since the last question. *left_out* counts those above the limits of a trace.

    *faults* say which servers do not take part, and why.
    """

    messages: Sequence[TracedMessage] = ()
    left_out: int = 0
    faults: Sequence[str] = ()


TRACE: Final = ControlCommand("trace", TraceReply)
"""Trace at one server. ``id`` is chosen by who asks, ``what`` as in `TraceFilter`, ``bodies`` asks for bodies.

The first question with an id begins the trace. It ends `tracer.LIVES_S` after the last question.
"""
