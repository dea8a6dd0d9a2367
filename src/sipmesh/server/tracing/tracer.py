"""The traces of one process: each takes the messages that it is about, until it is read."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.tracing.shown import shown_body, shown_head
from sipmesh.server.tracing.trace_filter import TraceFilter, must_be_traceable
from sipmesh.server.tracing.traced_message import TracedMessage, TraceReply
from sipmesh.sip.framing import Keepalive, MessageReader
from sipmesh.transport.link.link import Link
from sipmesh.transport.tap import Tap
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.formatting import tell_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sipmesh.server.log import Log
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.registry.registered_link import RegisteredLink

LIVES_S: Final = 10.0
"""Seconds after the last question for which a trace goes on."""

MOST_TRACES: Final = 8
MOST_WAITING: Final = 2_000
"""Messages of one trace that wait to be read."""

MOST_IN_S: Final = 500
"""Messages of one trace in a second: to show one costs some tenths of a millisecond."""

_FRAMES: Final = frozenset({0x81, 0x82})
_LENGTH_OF_16_BITS, _LENGTH_OF_64_BITS = 126, 127


class Trace:
    """One trace: what it takes, and what waits to be read; *with_bodies* shows bodies too. Times are loop times in seconds."""

    def __init__(self, what: str, *, with_bodies: bool) -> None:
        self.filter, self.with_bodies = TraceFilter(what), with_bodies
        self.ends = 0.0
        self._waiting: deque[TracedMessage] = deque()
        self._left_out = self._in_second = 0
        self._second = 0

    def has_room(self, now: float) -> bool:
        """Tell whether one more message may be shown; it is counted in both cases."""
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        if self._in_second <= MOST_IN_S and len(self._waiting) < MOST_WAITING:
            return True
        self._left_out += 1
        return False

    def add(self, message: TracedMessage) -> None:
        """Keep a message until it is read."""
        self._waiting.append(message)

    def read(self, until: int) -> TraceReply:
        """Return at most *until* messages that wait, and how many were left out; both are forgotten."""
        taken = [self._waiting.popleft() for _ in range(min(until, len(self._waiting)))]
        left_out, self._left_out = self._left_out, 0
        return TraceReply(taken, left_out)


class Tracer(Tap):
    """The traces of *server* on the links of *reactor*; as long as there is none, a message costs one look for one."""

    def __init__(self, server: str, reactor: Reactor, log: Log) -> None:
        self._server, self._reactor, self._log = server, reactor, log
        self._traces: dict[str, Trace] = {}

    def take(self, name: str, what: str, who: str, *, with_bodies: bool) -> TraceReply:
        """Return what the trace *name* has taken since the last call; the first call begins it for the operator *who*.

        Raises `OperatorError` for a trace about nothing, and if there are `MOST_TRACES`.
        """
        self.tick()
        trace = self._traces.get(name)
        if trace is None or (trace.filter.what, trace.with_bodies) != (what, with_bodies):
            trace = self._begin(name, what, who, with_bodies=with_bodies)
        trace.ends = self._reactor.loop.time() + LIVES_S
        return trace.read(MOST_WAITING)

    def _begin(self, name: str, what: str, who: str, *, with_bodies: bool) -> Trace:
        must_be_traceable(what)
        if len(self._traces) >= MOST_TRACES and name not in self._traces:
            raise OperatorError(f"{self._server} has {MOST_TRACES} traces already; end one of them")
        trace = self._traces[name] = Trace(what, with_bodies=with_bodies)
        self._reactor.tap = self
        self._log.info("trace begun", what=what, by=who, bodies=with_bodies)
        return trace

    def tick(self) -> None:
        """End the traces that are not read any more; called about twice a second."""
        now = self._reactor.loop.time()
        for name in [name for name, trace in self._traces.items() if trace.ends and trace.ends < now]:
            self._log.info("trace ended", what=self._traces.pop(name).filter.what)
        if not self._traces:
            self._reactor.tap = None

    # What the links show

    def received(self, link: RegisteredLink, message: Request | Response) -> None:
        """See `Tap`."""
        self._note(link, message, received=True)

    def sent(self, link: RegisteredLink, data: bytes) -> None:
        """See `Tap`; what is no message, such as a keepalive, is not traced."""
        if not isinstance(link, Link) or not any(one.filter.may_take(link, data) for one in self._traces.values()):
            return
        reader = MessageReader(self._reactor.limits.reading(LinkKind.SERVER), expects=Keepalive.PONG)
        try:
            reader.add(_unframed(data))
            while (message := reader.next()) is not None:
                if not isinstance(message, Keepalive):
                    self._note(link, message, received=False)
        except RemoteError:
            return

    def _note(self, link: RegisteredLink, message: Request | Response, *, received: bool) -> None:
        if not isinstance(link, Link):
            return
        now = self._reactor.loop.time()
        shown: TracedMessage | None = None
        for trace in self._traces.values():
            if trace.filter.takes(link, message) and trace.has_room(now):
                shown = shown or self._shown(link, message, received=received)
                trace.add(replace(shown, body=shown_body(message)) if trace.with_bodies else shown)

    def _shown(self, link: Link, message: Request | Response, *, received: bool) -> TracedMessage:
        peer, proof = _peer_of(link)
        return TracedMessage(
            at=datetime.now(UTC),
            server=self._server,
            received=received,
            link=link.id,
            kind=link.kind,
            peer=peer,
            proof=proof,
            code=str(link.verdict.code) if link.verdict is not None else "",
            local=tell_address(link.local if link.local[0] else _no_address(link)),
            remote=tell_address(link.remote),
            call_id=message.first("call-id") or "",
            cseq=message.first("cseq") or "",
            branch=_branch_of(message),
            head=shown_head(message),
            octets=len(message.body),
        )


def trace_asked(tracer: Tracer, asked: Mapping[str, Any], who: str) -> TraceReply:
    """Answer the command `TRACE` at this process."""
    return tracer.take(str(asked["id"]), str(asked["what"]), who, with_bodies=asked.get("bodies") is True)


def _peer_of(link: Link) -> tuple[str, str]:
    """Return who is at the other end of a link, and how this is known."""
    if link.peer_name:
        return link.peer_name, f"certificate of {link.peer_name}"
    if link.meant:
        return link.meant, "no verdict yet: what is sent waits for it"
    users = sorted(aor.removeprefix("sip:") for aor in link.flow.users) if isinstance(link.flow, Flow) else []
    if users:
        return ", ".join(users), f"login of {', '.join(users)}"
    return tell_address(link.remote), "no login yet"


def _no_address(link: Link) -> tuple[str, int]:
    """Return what stands for our address as long as a link is being opened."""
    return ("::" if ":" in link.remote[0] else "0.0.0.0", 0)  # noqa: S104 - no address to listen at


def _branch_of(message: Request | Response) -> str:
    try:
        return message.top_via.branch or ""
    except RemoteError:
        return ""


def _unframed(data: bytes) -> bytes:
    """Return the message in *data*, which may be one unmasked frame of a WebSocket (RFC 6455 section 5.2)."""
    if not data or data[0] not in _FRAMES:
        return data
    length = data[1]
    return data[{_LENGTH_OF_16_BITS: 4, _LENGTH_OF_64_BITS: 10}.get(length, 2) :]
