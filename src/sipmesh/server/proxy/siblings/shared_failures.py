"""Failed logins at each process of this server: they count at all of them, and at a process that starts later.

Otherwise who spreads guesses over the workers has the free ones of each, and those of a worker once more after it was replaced.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import Attempt, FailureCount
from sipmesh.server.proxy.siblings.channel import EARLIER_FAILURES, FAILURE, SUPERVISOR, packed
from sipmesh.server.proxy.siblings.shared_state import SharedState

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.authentication.backoff import LoginBackoff
    from sipmesh.server.proxy.siblings.channel import WorkerChannel
    from sipmesh.server.proxy.siblings.siblings import Siblings

COUNTS_OF_FRAME: Final = 200
"""Counts in one frame, so that no turn of a worker reads all of them."""


class SharedFailures(SharedState):
    """Tells the other processes of the *failures* of this one, and counts theirs; *clock* gives loop time in seconds.

    Only the supervisor tells a process that has just come up: it hears of all failures, and ends with the server.
    """

    __slots__ = ("_clock", "_failures", "_siblings")

    def __init__(self, siblings: Siblings, failures: LoginBackoff, clock: Callable[[], float]) -> None:
        self._siblings, self._failures, self._clock = siblings, failures, clock
        siblings.share(self, FAILURE, EARLIER_FAILURES)

    def __repr__(self) -> str:
        return f"<SharedFailures {self._failures!r}>"

    def failed(self, link: str, remote: str, aor: str, through: str) -> None:
        """Announce a failed login; *through* is the server that carries the link, or ""."""
        self._siblings.tell_all(FAILURE, 0, packed(link, remote, aor, through))

    def joined(self, channel: WorkerChannel) -> None:
        """Tell a new worker of the counts of users and addresses, if this is the supervisor."""
        if self._siblings.number != SUPERVISOR:
            return
        counts = [(*count,) for count in self._failures.counts(self._clock())]
        for begin in range(0, len(counts), COUNTS_OF_FRAME):
            channel.send(EARLIER_FAILURES, 0, packed(*counts[begin : begin + COUNTS_OF_FRAME]))

    def told(self, process: int, kind: int, number: int, payload: bytes) -> None:  # noqa: ARG002 - they count from anywhere
        """A login has failed at another process, or had failed before this one started."""
        if kind == EARLIER_FAILURES:
            for of_address, key, failed, age_s in json.loads(payload):
                self._failures.failed_before(FailureCount(of_address, key, failed, age_s), self._clock())
            return
        link, remote, aor, through = json.loads(payload)
        self._failures.failed(Attempt(link, remote, aor, through), self._clock())
