"""How long an input waits until this server reads it, measured in the very queue in which inputs wait.

A descriptor that is always ready is put at the end of the epoll's list of ready descriptors, like a link whose first octet has
just come. When its turn comes, it has waited as long as that link has. What a link has more than one turn reads is counted by its
octets.

What waits at a client, because the receive window of its link is full, is not seen. Several full windows are taken for a queue
that is too old, while this process has no moment without work: otherwise the network is slow, and not this server.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Final

from sipmesh.transport.watched import READ, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.overload import OverloadControl

ONCE: Final = READ | select.EPOLLONESHOT
EVERY_S: Final = 0.02
"""The age is measured once in this time at most."""

IDLE: Final = 0.05
"""With more of the time spent waiting for events, this process is not what others wait for."""

FULL_WINDOW: Final = 24_576
"""Octets that are unread after a turn: so much of the receive window of a client is full."""

FULL_WINDOWS: Final = 4
SHORT_WAIT: Final = 0.2
"""From so many full windows in one turn on, and an age of this part of the target, the age is taken for `FULL_WINDOW_AGE`."""

FULL_WINDOW_AGE: Final = 2.0
"""The age that full windows stand for, in target ages."""


class QueueProbe(Watched):
    """Measures the age of the queue behind *epoll* for *control*; *clock* gives seconds.

    *idle_s* is the time that was spent waiting for events, since the start; where *sees_idle* is false, the epoll is watched from
    another one, and that time is not known. *backlog* is how many turns more it takes to read what waits on the link that has
    most, *full_windows* the most clients in one turn that had filled their receive windows, since the last measurement.
    """

    __slots__ = (
        "_clock",
        "_control",
        "_epoll",
        "_full_now",
        "_idle_before_s",
        "_measured_at",
        "_turn",
        "_waits",
        "armed_at",
        "backlog",
        "fd",
        "full_windows",
        "idle_s",
        "sees_idle",
    )

    def __init__(
        self, epoll: select.epoll, clock: Callable[[], float], control: OverloadControl, *, sees_idle: bool = False
    ) -> None:
        self.generation = 0
        self._epoll, self._clock, self._control = epoll, clock, control
        self.fd = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.armed_at = self.backlog = 0.0
        self.full_windows = self._full_now = self._turn = 0
        self.sees_idle, self._waits = sees_idle, False
        self.idle_s = self._idle_before_s = self._measured_at = 0.0

    def arm(self) -> None:
        """Enter the queue, unless the probe is there already or was there just before."""
        if self._waits:
            return
        now = self._clock()
        if now - self.armed_at >= EVERY_S:
            self._waits, self.armed_at = True, now
            self._epoll.modify(self.fd, ONCE)

    def ready(self, _mask: int) -> None:
        """Leave the queue: the turn of everything that was there before has come."""
        self._waits = False
        now = self._clock()
        age_s = (now - self.armed_at) * (1.0 + self.backlog)
        idle_s, self._idle_before_s = self.idle_s - self._idle_before_s, self.idle_s
        since_s, self._measured_at = now - self._measured_at, now
        if self._has_full_windows(age_s) and idle_s <= IDLE * since_s:
            age_s = max(age_s, FULL_WINDOW_AGE * self._control.target_s)
        self.backlog, self.full_windows = 0.0, 0
        self._control.measured(age_s, now)

    def _has_full_windows(self, age_s: float) -> bool:
        """Tell whether several clients send more than this process serves, and not one client that sends much at once."""
        return self.sees_idle and self.full_windows >= FULL_WINDOWS and age_s >= self._control.target_s * SHORT_WAIT

    def left(self, unread: int, limit: int, turn: int, *, client: bool) -> None:
        """Note that *unread* octets are left on a link, of which *limit* are read in a turn, after the turn of that number."""
        self.backlog = max(self.backlog, unread / limit)
        if client and unread >= FULL_WINDOW:
            self._full_now = self._full_now + 1 if turn == self._turn else 1
            self._turn = turn
            self.full_windows = max(self.full_windows, self._full_now)

    def flush(self) -> None:
        """Write nothing: the probe is never queued for writing."""

    def broken(self, _error: Exception) -> None:
        """Wait for the next time."""
        self._waits = False

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
