"""Who may be in its handshake at one listener: a number for each address, and one for all.

A connection that is not slow keeps its place. A slow connection loses its place if another connection waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.budget import Budget
from sipmesh.transport.pace import Pace

if TYPE_CHECKING:
    from sipmesh.transport.limits import Limits


LOOK_AGAIN_S: Final = 0.05


class Greeted(Protocol):
    """A connection in its handshake."""

    def is_slow(self, now: float) -> bool:
        """Tell whether its peer has taken long for its present step, and nothing of it waits to be read."""

    def give_way(self) -> None:
        """Close: another connection gets its place."""

    def close(self, why: str) -> None:
        """Close without a verdict."""


class HandshakePlaces:
    """The places of one listener: *silent* until the ClientHello is whole, *shaking* from then on.

    A silent connection takes one of the places of handshakes too, and never a place that is taken. *stalled* are the
    addresses that have lost a connection for being slow, with the loop time in seconds. *pace* is how long a handshake takes
    at present: where this server, or all of its peers, have little processor time, no peer is considered slow for
    taking longer.
    """

    __slots__ = ("_fewest", "_limits", "_looked_at", "pace", "shaking", "silent", "stalled")

    def __init__(self, limits: Limits) -> None:
        self._limits, self._looked_at = limits, -LOOK_AGAIN_S
        self.pace = Pace(limits.handshake_s)
        self._fewest = min(
            limits.silent_per_address,
            limits.handshakes_per_address,
            limits.silent_in_all,
            limits.handshakes_in_flight,
        )
        self.silent: Budget[Greeted] = Budget(limits.silent_per_address, limits.silent_in_all)
        self.shaking: Budget[Greeted] = Budget(limits.handshakes_per_address, limits.handshakes_in_flight)
        self.stalled: dict[str, float] = {}

    def __len__(self) -> int:
        return self.silent.size + self.shaking.size

    def of(self, site: str) -> int:
        """Tell how many places *site* has taken."""
        return self.silent.count(site) + self.shaking.count(site)

    def finished(self, took_s: float) -> None:
        """Note how long an accepted handshake has taken; no peer makes it look longer than `handshake_s`."""
        self.pace.took(took_s)

    def patience(self, least_s: float) -> float:
        """Tell how long a peer may take for what takes *least_s* where there is no hurry; four times `handshake_s` at most."""
        return self.pace.patience(least_s)

    def is_open(self, now: float) -> bool:
        """Tell whether there is a place for any address at *now*; if none is free, a slow connection gives way for it.

        Slow connections are looked for once in `LOOK_AGAIN_S`: each handshake that ends asks.
        """
        limits = self._limits
        if len(self) < limits.handshakes_in_flight and self.silent.size < limits.silent_in_all:
            return True
        if now - self._looked_at < LOOK_AGAIN_S:
            return False
        if self._displace_any(self.silent, now):
            return True
        if self.silent.size < limits.silent_in_all and self._displace_any(self.shaking, now):
            return True
        self._looked_at = now
        return False

    def is_free(self, site: str) -> bool:
        """Tell whether there is a place for another connection of *site* as it is."""
        if self.silent.size + self.shaking.size < self._fewest:
            return True
        limits, silent = self._limits, self.silent.count(site)
        return (
            silent < limits.silent_per_address
            and silent + self.shaking.count(site) < limits.handshakes_per_address
            and self.silent.size < limits.silent_in_all
            and self.silent.size + self.shaking.size < limits.handshakes_in_flight
        )

    def make(self, site: str, now: float) -> bool:
        """Tell whether there is a place for another connection of *site* at *now*; a slow connection gives way for it."""
        if self.is_free(site):
            return True
        limits, silent = self._limits, self.silent.count(site)
        if silent >= limits.silent_per_address:
            return self._displace(self.silent, site, now)
        if silent + self.shaking.count(site) >= limits.handshakes_per_address:
            return self._displace(self.silent, site, now) or self._displace(self.shaking, site, now)
        return self.is_open(now)

    def displace_silent(self, now: float) -> bool:
        """Close a slow connection that has sent no ClientHello, of any address; False if there is none."""
        return self._displace_any(self.silent, now)

    def _displace_any(self, budget: Budget[Greeted], now: float) -> bool:
        for site, oldest in budget.oldest_of_each():
            if oldest.is_slow(now):
                return self._displace(budget, site, now)
        return False

    def _displace(self, budget: Budget[Greeted], site: str, now: float) -> bool:
        oldest = budget.oldest(site)
        if oldest is None or not oldest.is_slow(now):
            return False
        budget.displace(site)
        self.stalled[site] = now
        oldest.give_way()
        return True

    def is_stalled(self, site: str, now: float) -> bool:
        """Tell whether *site* has just lost a connection for being slow; older entries are forgotten."""
        since = now - 2 * self._limits.slow_s
        for other in [other for other, at in self.stalled.items() if at < since]:
            del self.stalled[other]
        return site in self.stalled
