"""What the rules of a callee still have to say of a call that is forwarded to phones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sipmesh.routing.call_rules.call_rules import LEAST_RING_S, NO_RULES, CallRules, GroupOrder
from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain, Diversion, Reason
from sipmesh.sip.status import Status

IS_BUSY: Final = frozenset({Status.BUSY_HERE, Status.BUSY_EVERYWHERE, Status.DECLINE})
"""Answers after which a call is forwarded as if the user is busy: who declines a call wants it to go there."""

IS_AWAY: Final = frozenset({Status.REQUEST_TIMEOUT, Status.TEMPORARILY_UNAVAILABLE, Status.FLOW_FAILED})
"""Answers for phones that are registered, and cannot be reached."""

Step = tuple[str, ...]
"""Members of a group who ring at the same time."""


@dataclass(frozen=True, slots=True)
class CallHandling:
    """A call rings at the phones of *user*, to whom *chain* has led; *rules* are those of this user.

    If *user* is a group, *steps* are who rings now and who rings next, for *left_s* seconds more in all. *has_rung*: members have
    rung before, and none of them has answered.
    """

    user: str
    rules: CallRules = NO_RULES
    chain: Chain = NOT_DIVERTED
    steps: tuple[Step, ...] = ()
    left_s: int = 0
    has_rung: bool = False

    @property
    def ring_s(self) -> int:
        """For how many seconds it rings now, 0 for as long as the caller waits."""
        if not self.steps:
            return self.rules.ring_s
        is_last = self.rules.order == GroupOrder.ALL and len(self.steps) == 1
        return self.left_s if is_last else min(self.rules.member_s, self.left_s)

    def after(self, status: int) -> Chain | None:
        """Give the chain to where a call goes that was answered with *status*; None if it goes nowhere else."""
        if self.has_rung:
            return self.unanswered()
        if status in IS_BUSY and self.rules.busy:
            return self.diverted(self.rules.busy, Reason.USER_BUSY)
        if (status in IS_AWAY or self.rules.is_group) and self.rules.away:
            return self.diverted(self.rules.away, Reason.AWAY)
        return None

    def unanswered(self) -> Chain | None:
        """Give the chain to where an unanswered call goes; None if it ends."""
        return self.diverted(self.rules.no_answer, Reason.NO_ANSWER) if self.rules.no_answer else None

    def besides(self) -> list[Chain]:
        """Give the chains to what rings at the same time."""
        if self.steps:
            return [self.diverted(member, Reason.HUNT_GROUP) for member in self.steps[0]]
        return [self.diverted(target, Reason.FOLLOW_ME) for target in self.rules.also]

    def after_refusals(self) -> CallHandling | None:
        """Give what rings next if no phone rings any more; None if the group has no other members."""
        return replace(self, steps=self.steps[1:]) if len(self.steps) > 1 else None

    def after_ring(self) -> CallHandling | None:
        """Give what rings next if no phone has answered in time; None if that was all."""
        left_s = self.left_s - self.ring_s
        others = self.after_refusals()
        return replace(others, left_s=left_s, has_rung=True) if others is not None and left_s >= LEAST_RING_S else None

    def diverted(self, to: str, reason: Reason) -> Chain:
        """Give the chain of this call, forwarded by the user."""
        return (*self.chain, Diversion(self.user, to, reason))
