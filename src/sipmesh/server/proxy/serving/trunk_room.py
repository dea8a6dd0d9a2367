"""Whether a trunk has room for one more call: its channels, and its new calls in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.forwarded_caller import forwarded_caller
from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.numbers.e164 import dialled_number
from sipmesh.routing.outcome import Answer, Forward, try_later
from sipmesh.routing.roles.gateway import trunk_of
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.calls.call_bounds import bounds_of
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.identity.trunk_names import TrunkNames
    from sipmesh.routing.numbers.trunk_table import TrunkRoute
    from sipmesh.server.proxy.flow import SentBranch
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

FULL: Final = try_later("the trunks that carry this call have no channel free, or had too many calls in this second")


def with_room(
    state: ServingState, names: TrunkNames, sender: Sender, request: Request, forward: Forward, now: float
) -> Forward | Answer:
    """Leave out the trunks that have no room for one more call, and put those last that have failed; 503 if none is left.

    An emergency call needs no room here: the trunk itself decides.
    """
    target = forward.targets[0]
    if request.method != "INVITE" or request.to.tag is not None or not isinstance(target, ServerTarget):
        return forward
    if isinstance(sender, ServerSender) and sender.kind is LinkKind.PARTNER:
        trunk = names.trunks.trunks[trunk_of(sender)]
        if not has_room(state, trunk, now, inwards=True):
            return FULL
        state.call_rates.count(trunk, inwards=True)
        return forward
    in_order = state.trunk_outages.last(target.names)
    if names.plan.emergency_number(request.ruri):
        return to_these(in_order, target, forward)
    user, number = forward.identity or "", dialled_number(request.ruri)
    forwarded = forwarded_caller(request)
    begun = begun_by(user, state) if forwarded is not None or bounds_of(names.plan, number) else []
    why = ""
    if forwarded is not None:
        why = state.call_bounds.refusal_to_forward(user, forwarded, [forwarded_caller(one) for one in begun])
    why = why or state.call_bounds.refusal(names.plan, user, number, [dialled_number(one.ruri) for one in begun], now)
    if why:
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=why)
    free = [name for name in in_order if has_room(state, names.trunks.trunks[name], now, inwards=False)]
    if free:
        state.call_rates.count(names.trunks.trunks[free[0]], inwards=False)
    return to_these(free, target, forward) if free else FULL


def to_these(names: Sequence[str], target: ServerTarget, forward: Forward) -> Forward:
    """Forward the call to the trunks *names*, in their order."""
    return Forward((ServerTarget(tuple(names), target.kind, target.uri, pools=target.pools),), forward.identity)


def has_room(state: ServingState, trunk: TrunkRoute, now: float, *, inwards: bool) -> bool:
    """Tell whether *trunk* may have one more call now."""
    if not state.call_rates.admits(trunk, now, inwards=inwards):
        return False
    if state.trunk_calls.is_full or not (inwards or state.call_bounds.has_minutes(trunk, now)):
        return False
    return trunk.channels is None or calls_with(state, trunk.name) < trunk.channels


def calls_with(state: ServingState, name: str) -> int:
    """Count the calls with the trunk *name*: those that are up, and those that were not answered yet."""
    flows = [flow for flow in state.flow_table.sessions() if flow.link.kind is LinkKind.PARTNER and flow.ringing]
    begun = sum(flow.ringing.invites for flow in flows if state.trunk_calls.trunk_of(flow) == name)
    return state.trunk_calls.with_trunk(name) + begun


def begun_by(user: str, state: ServingState) -> list[Request]:
    """Give the INVITE of each call of *user* to a trunk that was not answered yet."""
    begun = [sent.proxied for sent in state.client_transactions.waiting() if sent.rings and is_to_trunk(sent)]
    return [one.request for one in begun if (one.identity or "") == user]


def is_to_trunk(sent: SentBranch) -> bool:
    """Tell whether the branch *sent* goes to a trunk."""
    return sent.flow.link.kind is LinkKind.PARTNER
