"""How long one link may stay in its present condition, and the reason to close it then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.transport.limits import Limits

DOES_NOT_READ: Final = "peer does not read"
TOO_SLOW: Final = "an incomplete message timed out"
NO_PONG: Final = "no pong"
TOO_MANY_KEEPALIVES: Final = "too many keepalives"

LOOK_AGAIN_S: Final = 60.0
"""Seconds; a link has an alarm at least so often: otherwise the heap of alarms keeps links that closed long ago."""

LAST_SECOND: Final = 1.0
"""Seconds for a link whose verdict accepted a certificate in its last second."""


class LinkDeadlines:
    """The deadlines of one link; loop times in seconds, 0.0 where a deadline does not apply.

    *begun_at* is when an unfinished message began, *begun_octets* how many octets of it have arrived. *drain_until* is set
    once the link drains. *keepalives* is how many the peer has sent. *pinged_at* is when we sent a WebSocket Ping that the peer
    has not answered yet. *logs_in*: a client, or another peer without a certificate, has to log in. *authenticated*: it has.
    """

    __slots__ = (
        "_client",
        "_keepalives_until",
        "_limits",
        "authenticated",
        "begun_at",
        "begun_octets",
        "drain_until",
        "keepalives",
        "logs_in",
        "opened_at",
        "pinged_at",
    )

    def __init__(self, limits: Limits, kind: LinkKind, direction: Direction, now: float) -> None:
        self._limits = limits
        self._client = kind is LinkKind.CLIENT and direction is Direction.ACCEPTED
        self._keepalives_until = 0.0  # when the keepalives so far will have come, at the rate that the peer may send
        self.opened_at = now
        self.begun_at = self.drain_until = self.pinged_at = 0.0
        self.begun_octets = 0
        self.keepalives, self.authenticated, self.logs_in = 0, False, self._client

    def all(self, blocked_at: float, last_in: float) -> list[tuple[float, str]]:
        """List each deadline of the link, with the reason to close the link at that time.

        *blocked_at* is when the socket stopped accepting octets, *last_in* when the last octet arrived.
        """
        limits, found = self._limits, []
        if blocked_at:
            found.append((blocked_at + limits.stall_s, DOES_NOT_READ))
        if self.begun_at:
            found.append((self.begun_at + limits.message_s + self.begun_octets / limits.message_bytes_per_s, TOO_SLOW))
        if self.drain_until:
            found.append((self.drain_until, "drained, but the peer did not read"))
        if self._client:
            lapse, why = (limits.keepalive_s, "keepalive lapsed") if self.keepalives else (limits.idle_s, "idle")
            found.append((last_in + lapse, why))
        if self.logs_in and not self.authenticated:
            found.append((self.opened_at + limits.authenticate_s, "not authenticated in time"))
        if self.pinged_at:
            found.append((self.pinged_at + limits.websocket_pong_s, NO_PONG))
        return found

    def passed(self, now: float, blocked_at: float, last_in: float) -> str:
        """Return the reason to close the link at loop time *now*; empty if no deadline has passed."""
        for when, why in self.all(blocked_at, last_in):
            if when <= now:
                return why
        return ""

    def next_alarm(self, now: float, blocked_at: float, last_in: float, valid_s: float | None) -> float:
        """Return the loop time of the next alarm, at most `LOOK_AGAIN_S` after *now*; 0.0 if nothing can become due.

        *valid_s* is for how many seconds the certificates of the path are valid from now on. Certificates expire by the wall
        clock; alarms follow the loop clock, which is monotonic. So the result is true only until the wall clock is set,
        and each alarm computes it again. After a jump of the wall clock, a link may outlive its certificate by
        `LOOK_AGAIN_S`. A link that a wrong clock has closed is opened again when it is needed.
        """
        times = [when for when, _ in self.all(blocked_at, last_in)]
        if valid_s is not None:
            times.append(now + (valid_s if valid_s > 0 else LAST_SECOND))
        return min(*times, now + LOOK_AGAIN_S) if times else 0.0

    def takes_keepalive(self, now: float) -> bool:
        """Count a keepalive of the peer at loop time *now*; return whether the rate allows it.

        A keepalive is a CRLF, a Ping or a Pong. A small fragment of a WebSocket message costs as much.
        Servers have a higher rate.
        """
        limits = self._limits
        rate, at_once = limits.keepalives_per_s, limits.keepalives_at_once
        if not self._client:
            rate, at_once = limits.server_keepalives_per_s, limits.server_keepalives_at_once
        until = max(self._keepalives_until, now) + 1 / rate
        self._keepalives_until = until
        return (until - now) * rate < at_once + 0.5  # half a keepalive, since sums of times are not exact

    def wait_for_the_rest(self, count: int, now: float, *, again: bool) -> bool:
        """Count *count* octets of an unfinished message; return whether its deadline is new.

        The message has ``message_s``, plus one second for each ``message_bytes_per_s`` octets that have arrived. *again*: the
        octets begin another message.
        """
        is_new = again or not self.begun_at
        if is_new:
            self.begun_at, self.begun_octets = now, 0
        self.begun_octets += count
        return is_new
