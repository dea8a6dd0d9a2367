"""The renewal of the lease while the event loop is busy: a thread renews it if no claim has succeeded for two seconds.

Long work of the leader, such as certificates for many servers on a machine with load, keeps the event loop from claiming the
lease in time. Without this thread another server would lead then, which costs a new signature of every document.

A process that is stopped renews nothing. A loop that hangs for longer than `LONGEST_TURN_S` lets another server lead.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.database.lease import Lease

LATE_S: Final = 2.0
"""Seconds after the last claim from which the thread renews the lease; the lease lasts for `LEASE_S`."""
LOOK_EVERY_S: Final = 0.5
LONGEST_TURN_S: Final = 30.0
"""Seconds after the last claim from which the loop counts as hung: the thread renews nothing any more."""


class LeaseRenewal:
    """The thread for one *lease*; `claimed` is called after each claim that succeeded."""

    def __init__(self, lease: Lease) -> None:
        """Count the time from now; the thread runs from `start` to `stop`."""
        self._lease, self._claimed_at = lease, time.monotonic()
        self._over, self._thread = threading.Event(), threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Renew the lease from now on whenever a claim is late."""
        self._thread.start()

    def claimed(self, at: float) -> None:
        """Note that the loop has claimed the lease; the claim began *at* (`time.monotonic`)."""
        self._claimed_at = at

    def is_due(self, now: float) -> bool:
        """Tell whether a claim is late at the time *now*, and the loop does not count as hung."""
        return LATE_S <= now - self._claimed_at < LONGEST_TURN_S

    def stop(self) -> None:
        """End the thread. A renewal that runs has no effect on a lease that was released."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> None:
        """Renew the lease if a claim is late; any thread may call it."""
        if self.is_due(time.monotonic()):
            with suppress(OperatorError):  # the next claim says so
                self._lease.renew()
