"""How long one link may stay in its present condition, and the reason to close it then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.transport.limits import Limits

DOES_NOT_READ: Final = "peer does not read"
TOO_SLOW: Final = "an incomplete message timed out"


class LinkDeadlines:
    """The deadlines of one link; loop times in seconds, 0.0 where a deadline does not apply.

    *begun_at* is when an unfinished message began, *begun_octets* how many octets of it have arrived. *drain_until* is set
    once the link drains. *pings*: the peer has sent a keepalive. *authenticated*: a user has logged in.
    """

    __slots__ = ("_client", "_limits", "authenticated", "begun_at", "begun_octets", "drain_until", "opened_at", "pings")

    def __init__(self, limits: Limits, kind: LinkKind, direction: Direction, now: float) -> None:
        self._limits = limits
        self._client = kind is LinkKind.CLIENT and direction is Direction.ACCEPTED
        self.opened_at = now
        self.begun_at = self.drain_until = 0.0
        self.begun_octets = 0
        self.pings = self.authenticated = False

    def __repr__(self) -> str:
        return f"<LinkDeadlines since {self.opened_at:.1f}, {self.begun_octets} octets of a message have come>"

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
            lapse, why = (limits.keepalive_s, "keepalive lapsed") if self.pings else (limits.idle_s, "idle")
            found.append((last_in + lapse, why))
            if not self.authenticated:
                found.append((self.opened_at + limits.authenticate_s, "not authenticated in time"))
        return found
