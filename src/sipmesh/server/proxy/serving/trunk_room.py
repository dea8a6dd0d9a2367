"""Whether a trunk has room for one more call: its channels, and its new calls in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.outcome import Answer, Forward, try_later
from sipmesh.routing.roles.gateway import trunk_of
from sipmesh.routing.target import ServerTarget
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.routing.identity.trunk_names import TrunkNames
    from sipmesh.routing.numbers.trunk_table import TrunkRoute
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
        if not has_room(state, trunk, request, now, inwards=True):
            return FULL
        state.call_rates.count(trunk, inwards=True)
        return forward
    in_order = state.trunk_outages.last(target.names)
    if names.plan.emergency_number(request.ruri):
        return Forward((ServerTarget(tuple(in_order), target.kind, target.uri),), forward.identity)
    free = [name for name in in_order if has_room(state, names.trunks.trunks[name], request, now, inwards=False)]
    if not free:
        return FULL
    state.call_rates.count(names.trunks.trunks[free[0]], inwards=False)
    return Forward((ServerTarget(tuple(free), target.kind, target.uri),), forward.identity)


def has_room(state: ServingState, trunk: TrunkRoute, request: Request, now: float, *, inwards: bool) -> bool:
    """Tell whether *trunk* may have the call of *request* now."""
    if not state.call_rates.admits(trunk, now, inwards=inwards):
        return False
    if trunk.channels is None:
        return True
    return not is_reused(state, request) and calls_with(state, trunk.name) < trunk.channels


def is_reused(state: ServingState, request: Request) -> bool:
    """Tell whether another call has the Call-ID of *request*: both would count as one."""
    if state.calls.has(request.call_id):
        return True
    begun = (one for _, one in begun_calls(state) if one.call_id == request.call_id)
    return any(one.from_.tag != request.from_.tag or one.cseq.number != request.cseq.number for one in begun)


def calls_with(state: ServingState, name: str) -> int:
    """Count the calls with the trunk *name*: those that are up, and those that were not answered yet."""
    partner = state.flow_table.view.partner_named(name)
    peer = partner.peer.name if partner is not None else name
    return state.calls.with_peer(peer) + sum(1 for of, _ in begun_calls(state) if of == peer)


def begun_calls(state: ServingState) -> Iterator[tuple[str, Request]]:
    """Give the calls with trunks that were not answered yet: the name of the peer, and the INVITE."""
    for flow in state.flow_table.sessions():
        if flow.link.kind is LinkKind.PARTNER:
            begun = [sent.request for sent in flow.sent.values() if sent.transaction.pending]
            begun += [one.request for one in flow.served.values() if not one.is_answered]
            yield from ((flow.link.peer_name, request) for request in begun if is_call(request))


def is_call(request: Request) -> bool:
    """Tell whether a request begins a call."""
    return request.method == "INVITE" and request.to.tag is None
