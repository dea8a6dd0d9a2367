"""An order of management to one server: trace for some seconds, and send what you see."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.server.tracing.trace_filter import LONGEST
from sipmesh.strict_json import read_json
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView

TRACE: Final = "sipmesh-trace"
"""The type of the signed document."""

LONGEST_AGE: Final = timedelta(minutes=1)
"""An older order is refused, so that an old order is not carried out again."""

AGAIN_EVERY_S: Final = 3.0
"""Seconds after which management repeats the order, as long as an operator reads the trace."""

LASTS_S: Final = 10.0
"""Seconds for which a server carries out an order: it outlives two that are lost."""


@dataclass(frozen=True, slots=True)
class TraceOrder:
    """*server* has to trace *what* under the name *trace*, with the *bodies* of messages or without.

    *number* is the time of the order in milliseconds since 1970 (UTC).
    """

    organisation: str
    server: str
    number: int
    trace: str
    what: str
    bodies: bool = False

    def encode(self) -> bytes:
        """Return the payload that management signs."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> TraceOrder:
        """Read a payload; raises `RemoteError` (488) if it is not an order."""
        try:
            order = read(cls, read_json(payload))
        except (ValueError, RecursionError, UnreadableJsonError):
            raise refused("an order to trace that cannot be read") from None
        if not order.what or max(len(order.what), len(order.trace)) > LONGEST:
            raise refused(f"an order to trace nothing, or more than {LONGEST} characters")
        return order

    def must_be_for(self, view: ServerView, now: datetime) -> None:
        """Raise `RemoteError` if it is for another server, older than `LONGEST_AGE`, or as far in the future (*now* in UTC)."""
        if (self.organisation, self.server) != (view.organisation, view.name):
            raise refused(f"an order for {self.server} of {self.organisation}")
        try:
            age = now - datetime.fromtimestamp(self.number / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise refused("an order to trace without a time") from None
        if abs(age) > LONGEST_AGE:
            raise refused(f"an order to trace of {abs(age).total_seconds():.0f} s before or after our clock")


def refused(why: str) -> RemoteError:
    """Return the error for an order that this server does not carry out."""
    return RemoteError(f"rejected: {why}", rule="rule R5", status=488)
