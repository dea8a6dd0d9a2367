"""What a response context knows of its branches: their order, their kind, and the times and reasons of their end."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.call_rules.diversion import Chain, Reason
from sipmesh.routing.target import RemoteFlowTarget, ServerTarget, Target
from sipmesh.sip.status import Status
from sipmesh.trust.evidence import LinkKind

FLOW_IS_DEAD: Final = frozenset({Status.REQUEST_TIMEOUT, Status.FLOW_FAILED})
"""After these, another flow of the same device is tried; after no other response (RFC 5626 section 7)."""

TRUNK_HAS_FAILED: Final = frozenset({408, 500, 502, 504})
"""After these, and after a 503, another trunk is tried: they say nothing about the number that is called."""

SILENT_S: Final = 4.0
"""Seconds for phones that answer an INVITE with nothing, once another device has refused it or the caller has cancelled it.

A phone sends 100 within 0.2 s (RFC 3261 section 17.2.1), on a link that loses nothing. So the link of a silent phone is dead,
and so is a trunk that is silent. The caller should not wait for its timer B (32 s) to learn that the user is busy.
"""

GRACE_S: Final = 3
"""Seconds for which others ring longer than the home pool that has asked for it says: it may have another target then."""

NO_ANSWER: Final = ('SIP;cause=408;text="No answer"',)
"""The Reason in the CANCEL to phones that have rung for as long as the rules of their user say."""

TIMED_OUT: Final = ('SIP;cause=408;text="Request Timeout"',)
"""The Reason in the CANCEL after timer C (RFC 3326)."""

ELSEWHERE: Final = ('SIP;cause=200;text="Call completed elsewhere"',)
"""The Reason in the CANCEL to the other branches after a 2xx: their phones show no missed call (RFC 3326 section 3.1)."""


def by_rank(targets: tuple[Target, ...]) -> list[tuple[Target, ...]]:
    """Group *targets* by q, lowest first: `ResponseContext.start` takes the last group first. Phones rarely set a q."""
    first, is_one_group = targets[0].q if targets else 0.0, True
    for target in targets:
        is_one_group = is_one_group and target.q == first
    if is_one_group:
        return [targets] if targets else []
    ranks = sorted({target.q for target in targets})
    return [tuple(target for target in targets if target.q == rank) for rank in ranks]


def has_other_pools(target: Target) -> bool:
    """Tell whether *target* is trunks, and another gateway pool has trunks that carry the call too."""
    return isinstance(target, ServerTarget) and target.kind is LinkKind.PARTNER and len(set(target.pools)) > 1


def is_to_gateways(target: Target) -> bool:
    """Tell whether *target* is gateways, of which those of another pool may be tried."""
    return isinstance(target, ServerTarget) and target.kind is LinkKind.SERVER and len(target.pools) > 1


def has_other_trunks(target: Target) -> bool:
    """Tell whether *target* is several trunks, of which each is tried if the trunk before it has failed."""
    return isinstance(target, ServerTarget) and len(target.names) > 1 and target.kind is LinkKind.PARTNER


def is_beside(chain: Chain) -> bool:
    """Tell whether the target at the end of *chain* rings beside others, so that no rule of its user leads it elsewhere."""
    return bool(chain) and (chain[-1].reason is Reason.FOLLOW_ME or chain[-1].reason is Reason.HUNT_GROUP)


def is_of_group(chain: Chain) -> bool:
    """Tell whether the target at the end of *chain* is a member of a group."""
    return bool(chain) and chain[-1].reason is Reason.HUNT_GROUP


def is_to_our_server(target: Target) -> bool:
    """Tell whether a 503 on a branch to *target* is of a server of ours: that of its phones and partners comes as a 500."""
    return isinstance(target, RemoteFlowTarget) or (isinstance(target, ServerTarget) and target.kind is LinkKind.SERVER)
