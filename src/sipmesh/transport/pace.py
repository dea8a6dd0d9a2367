"""How long a step of a handshake takes at present. While all peers are slow, no peer is considered slow."""

from __future__ import annotations

from typing import Final

PACE_OF: Final = 16
"""The pace is the mean of about this many steps."""

PACES: Final = 4.0
"""A peer may take this many times as long as others do: the mean follows what comes, and some are slower than the mean."""


class Pace:
    """The mean time of the last steps, in seconds; a step counts as *most_s* at most."""

    __slots__ = ("mean_s", "most_s")

    def __init__(self, most_s: float) -> None:
        self.most_s = most_s
        self.mean_s = 0.0

    def took(self, time_s: float) -> None:
        """Add the time of one step."""
        self.mean_s += (min(self.most_s, time_s) - self.mean_s) / PACE_OF

    def patience(self, least_s: float) -> float:
        """Tell how long a peer may take for what takes *least_s* where there is no hurry."""
        return max(least_s, PACES * self.mean_s)
