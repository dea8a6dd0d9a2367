"""What the rules of a callee say of a call before any phone rings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.call_rules import ANONYMOUS, CallerRule
from sipmesh.routing.call_rules.diversion import Chain, Reason
from sipmesh.routing.outcome import Answer
from sipmesh.sip.status import Status

if TYPE_CHECKING:
    from sipmesh.routing.call_rules.handling import CallHandling

DECLINED: Final = Answer(Status.DECLINE, why="a rule of the callee blocks the caller")
BUSY: Final = Answer(Status.BUSY_HERE, why="the callee does not want to be disturbed")


def screened(
    handling: CallHandling,
    caller: str | None,
    *,
    is_hidden: bool,
    replaces: bool,
    is_beside: bool,
    delegate: str = "",
) -> Answer | Chain | None:
    """Refuse a call of *caller*, or give the chain to where it goes; None if the phones ring.

    *delegate* is the user who calls for *caller*, "" if the caller does, and is judged too.
    *is_hidden*: the caller withholds its name, and is judged by both. *replaces*: the call takes the place of another call of the
    callee (RFC 3891). *is_beside*: the phones ring beside those of another user, who has forwarded the call.
    """
    rules = handling.rules
    names = [caller] if caller is not None else []
    names += [ANONYMOUS] if is_hidden or caller is None else []
    if any(rules.rule_for(name) is CallerRule.BLOCK for name in [*names, delegate] if name):
        return DECLINED
    if replaces:
        return None
    if rules.do_not_disturb and not any(map(rules.lets_through, names)):
        busy = rules.busy and not is_beside
        return handling.diverted(rules.busy, Reason.DO_NOT_DISTURB) if busy else BUSY
    if rules.always and not is_beside:
        return handling.diverted(rules.always, Reason.UNCONDITIONAL)
    return None
