"""Overload control: how long inputs wait for this server, and which share of requests is refused for it.

The age of the queue decides, and not its length: a long queue that is served in time harms no sender. The share is that
of a loss-based control (RFC 7339 section 6), and the rule for the beginning is that of CoDel (RFC 8289 section 3): a
queue that stands, and not a burst.
"""

from __future__ import annotations

from typing import Final

STEP_S: Final = 0.1
"""The share changes once in this time: a change needs a moment until the age shows it."""

RAISED: Final = 0.05
"""What one step adds, for each target that the age is above the target, and twice that at most."""

LOWERED: Final = 0.85
"""What one step leaves of the share, once the age is below the target."""

OVER: Final = 0.02
"""A smaller share is none."""

GENTLE: Final = 0.2
"""The greatest share up to `OverloadControl.limit_s`: one refusal for each four requests that are served.

A refusal costs about a third of what serving costs, mostly for TLS: with more, refusing would take the time to serve. What is
left waits at its sender, by TCP.
"""

GREATEST: Final = 1.9
"""The greatest share of all: every new request is refused, and 9 in 10 of those that are refused last."""


LEAST_FOR_ALL: Final = 0.1
"""The least part of the requests that goes to the fair shares, however great the loss is."""


OCTETS_OF_ONE: Final = 4_096
"""A message counts as one request more for each so many octets: with a large body it costs as much as many."""


PARTS_OF_USER: Final = 8
"""A user, a partner or an address that has had more than one of so many parts of the CPU time lately is served last."""

PARTS_OF_SERVER: Final = 2
"""The same for a server of ours, which carries many users."""


class Demand:
    """How many new requests one principal has *asked* for in the *step* of that number, while there is overload.

    Each other message that costs as much counts as one of them: an ACK or a response without a transaction, a CANCEL, a
    retransmission, a request of a dialog. *cpu_s* is the CPU time that it has had lately, until *cpu_at* (`CpuShares`). With more
    than one of *parts* of that of all, it is served last.
    """

    __slots__ = ("asked", "cpu_at", "cpu_s", "parts", "step")

    def __init__(self, parts: int = PARTS_OF_USER) -> None:
        self.parts = parts
        self.asked = self.step = 0
        self.cpu_s = self.cpu_at = 0.0


class OverloadControl:
    """The age of the queue, and the share of requests that is refused meanwhile; times in seconds of the caller's clock.

    *target_s* is the age that is good, *interval_s* how long the age may stay above. Up to *limit_s* a small part of the new
    requests is refused; at twice that all may be, at four times `GREATEST`. *loss* grows up to 1 for new requests outside a
    dialog; what is above 1 is the share of REGISTER and of requests inside a dialog. *active* is looked at for each message.

    Principals that ask for much are refused first: *fair* is how many new requests of a principal are admitted in one
    step, and the refusals of principals within this share go to principals that ask for more.
    """

    __slots__ = (
        "_above_since",
        "_asked",
        "_busy",
        "_credit",
        "_credit_last",
        "_measured_at",
        "_owed_most",
        "_principals",
        "_step",
        "_stepped_at",
        "active",
        "age_s",
        "began_at",
        "ended_at",
        "episodes",
        "fair",
        "interval_s",
        "limit_s",
        "longest_s",
        "loss",
        "refused",
        "refused_last",
        "target_s",
    )

    def __init__(self, target_s: float, interval_s: float, limit_s: float) -> None:
        self.target_s, self.interval_s, self.limit_s = target_s, interval_s, limit_s
        self.active = False
        self.loss = 0.0
        self.age_s = self.longest_s = 0.0
        self.episodes = 0  # how often an overload has begun
        self.began_at = self.ended_at = 0.0
        self.refused = self.refused_last = 0  # requests since the start
        self._above_since = -1.0
        self._measured_at = self._stepped_at = 0.0
        self._credit = self._credit_last = 0.0
        self.fair = 0
        self._step, self._asked, self._principals = 1, 0, 0
        self._busy = 0.0  # requests a second that were admitted while the age was last above the target
        self._owed_most = 0.0

    def measured(self, age_s: float, now: float) -> None:
        """Note that an input has waited for *age_s*."""
        self.age_s, self._measured_at = age_s, now
        self.longest_s = max(self.longest_s, age_s)
        if age_s <= self.target_s:
            self._above_since = -1.0
        elif self._above_since < 0:
            self._above_since = now
        if now - self._stepped_at < STEP_S:
            return
        if age_s <= self.target_s:
            self._lower(now)
        elif self.active or now - self._above_since >= self.interval_s:
            self._raise(age_s, now)

    @property
    def _admitted(self) -> float:
        """How many requests of this step are admitted."""
        return max(LEAST_FOR_ALL, 1.0 - self.loss) * self._asked

    def _next_step(self, now: float) -> None:
        """Compute the fair share from what was asked for in the last step."""
        self._stepped_at = now
        self.fair = int(self._admitted / self._principals) if self._principals else 0
        self._owed_most = self.loss * self._asked
        self._credit = min(self._credit, 1.0)  # else a principal that asks for little pays for the step before
        self._step += 1
        self._asked = self._principals = 0

    def _raise(self, age_s: float, now: float) -> None:
        """Begin, or raise the loss. The first step only counts the requests of each principal, to decide which are refused."""
        if not self.active:
            self.active = True
            self.episodes += 1
            self.began_at, self.longest_s = now, age_s
        else:
            self._busy = self._admitted / max(now - self._stepped_at, STEP_S)
            self.loss = self._raised(age_s)
        self._next_step(now)

    def _raised(self, age_s: float) -> float:
        most = self._most(age_s)
        if self.loss > most:
            return max(most, self.loss * LOWERED)
        excess = min(2.0, age_s / self.target_s - 1.0)
        return min(most, self.loss + RAISED * max(1.0, excess))

    def _most(self, age_s: float) -> float:
        """Give the greatest share at that age: where waiting costs more than refusing, refusing may take the time."""
        beyond = age_s / self.limit_s - 1.0
        if beyond <= 0:
            return GENTLE
        if beyond <= 1.0:
            return GENTLE + (1.0 - GENTLE) * beyond
        return min(GREATEST, 1.0 + (GREATEST - 1.0) * (beyond - 1.0) / 2)

    def _lower(self, now: float) -> None:
        """Lower the loss. Once the load has fallen to half, it is over: only those would be refused who have not caused it."""
        if not self.active:
            return
        has_fallen = 2 * self._asked / max(now - self._stepped_at, STEP_S) < self._busy
        self.loss *= LOWERED
        self._next_step(now)
        if has_fallen or self.loss < OVER:
            self._end(now)

    def _end(self, now: float) -> None:
        self.active, self.loss = False, 0.0
        self.ended_at = now
        self._credit = self._credit_last = 0.0
        self.fair = 0

    def rest(self, now: float) -> None:
        """End the overload if nothing was measured for a while: then nothing waits."""
        if now - self._measured_at < self.interval_s:
            return
        self.age_s, self._above_since = 0.0, -1.0
        if self.active:
            self._end(now)

    def refuses_new(self, demand: Demand, octets: int) -> bool:
        """Tell whether the next new request of *octets* outside a dialog, of the principal with that *demand*, is refused.

        The fair share of a principal is admitted, and others owe the refusal, up to what one step refuses.
        """
        self.count(demand, octets)
        return self._owes_refusal(demand)

    def _owes_refusal(self, demand: Demand) -> bool:
        self._credit += min(self.loss, 1.0)
        if self._credit < 1.0 or (demand.asked <= self.fair and self._credit <= self._owed_most):
            return False
        self._credit -= 1.0
        return True

    def count(self, demand: Demand, octets: int) -> None:
        """Count a message of the principal with that *demand*: a new request, or another message that costs as much."""
        cost = 1 + octets // OCTETS_OF_ONE
        if demand.step != self._step:
            demand.step, demand.asked = self._step, 0
            self._principals += 1
        demand.asked += cost
        self._asked += cost

    def undo_last(self, demand: Demand, octets: int) -> None:
        """Take back the last True of `refuses_new`, as if it had not been asked: the next question gets the same answer."""
        cost = 1 + octets // OCTETS_OF_ONE
        self._credit += 1.0 - min(self.loss, 1.0)
        self._asked -= cost
        demand.asked -= cost

    def refuses_last(self, demand: Demand, octets: int, most: int) -> bool:
        """Tell whether the next REGISTER, or request of a known dialog, of the principal with that *demand* is refused.

        A principal that asks for more than *most* in one step, and for more than its fair share, is refused as if the request was
        new: otherwise a party of one call could flood it. Without *most* (0), the request does not count.
        """
        if most:
            self.count(demand, octets)
            if demand.asked > max(self.fair, most):
                return self._owes_refusal(demand)
        if self.loss <= 1.0:
            return False
        self._credit_last += self.loss - 1.0
        if self._credit_last < 1.0:
            return False
        self._credit_last -= 1.0
        return True
