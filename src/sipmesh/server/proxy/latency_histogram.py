"""How long requests waited for their final response, counted in fixed buckets; adding one is a search in a short list."""

from __future__ import annotations

from typing import Final

_BOUNDS: Final = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0]
"""A list, whose items compiled code takes without a call. Written first: mypyc does not find a tuple of floats while the module
is imported."""

BOUNDS: Final = tuple(_BOUNDS)
"""Upper bounds in seconds: from a relay on one machine to an INVITE that rings until timer C (RFC 3261 16.6)."""


class LatencyHistogram:
    """A histogram; *counts* has one entry for each bound, and one for longer times."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one request that waited *seconds*; a bound belongs to its own bucket, as in Prometheus."""
        at = 0
        while at < len(_BOUNDS) and seconds > _BOUNDS[at]:  # a call of `bisect` costs more: most waits are short
            at += 1
        self.counts[at] += 1
        self.total += seconds

    def up_to(self) -> list[tuple[float, int]]:
        """Return (bound, number of requests that waited at most so long); the last bound is infinity, with all requests."""
        found, seen = [], 0
        for bound, count in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            seen += count
            found.append((bound, seen))
        return found
