"""One step of serving a request: what has happened, what is in force and what is in memory go in, the effect comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.digest import status_for
from sipmesh.routing.events.subscribe import NO_SUBSCRIPTION
from sipmesh.routing.identity.border import IN_REQUESTS
from sipmesh.routing.identity.route_set import service_route, take_place
from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.media.judgement import NEGOTIATES
from sipmesh.routing.outcome import (
    Answer,
    Drop,
    Forward,
    Outcome,
    Prove,
    Register,
    Serve,
    Store,
    ToContact,
    ToMembers,
    ToUser,
    try_later,
)
from sipmesh.routing.proxy.branch import carried_loop, loop_hash
from sipmesh.routing.proxy.branch_kinds import is_of_group
from sipmesh.routing.proxy.received import mark_received
from sipmesh.routing.roles.decide import decide
from sipmesh.routing.target import is_carried
from sipmesh.server.proxy.flow import Flow, ReceivedRequest
from sipmesh.server.proxy.login.end_of_flow import is_end
from sipmesh.server.proxy.serving.admission import NO_HOPS, refused_at_once, room_for
from sipmesh.server.proxy.serving.call_forwarding import diversion_target
from sipmesh.server.proxy.serving.delegates import on_behalf
from sipmesh.server.proxy.serving.effects import (
    AskControlPlane,
    AwaitLogin,
    CloseCarriedLink,
    CloseLink,
    Effect,
    EndCall,
    EndCarriedFlow,
    ForwardAck,
    HandOver,
    JudgeIdentity,
    ReadBindings,
    RefuseForOctets,
    RefuseUnstored,
)
from sipmesh.server.proxy.serving.events import (
    Answered,
    BindingsRead,
    Diverting,
    Event,
    IdentityJudged,
    LoggedIn,
    LoginDue,
    MembersReached,
    MessageStored,
    NotOfControlPlane,
    TargetsLost,
)
from sipmesh.server.proxy.serving.screened_calls import (
    let_on,
    mark_of_screened,
    opened_redirection,
    past_screener,
    sealed_redirection,
)
from sipmesh.server.proxy.serving.told_logins import tell_login
from sipmesh.server.proxy.serving.trunk_room import with_room
from sipmesh.server.proxy.serving.user_targets import (
    NO_USERS_YET,
    NOT_TAKEN_OVER,
    Found,
    at_bindings,
    find_contact,
    find_user,
    next_notifier,
)
from sipmesh.server.proxy.serving.watchers import EVENTS_OF_PHONES, refused_at_phone
from sipmesh.sip.bearer import bearer_of
from sipmesh.sip.names import bits_of
from sipmesh.sip.rows import P_PREFERRED_IDENTITY
from sipmesh.sip.status import Status
from sipmesh.storage.messages import Storing
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

CREDENTIALS: Final = bits_of("authorization", "proxy-authorization")
POSTED: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH"})
"""The methods of our own event package; other event packages use them too."""

LOOP: Final = Answer(Status.LOOP_DETECTED, why="a loop: the request was here before, by the same route")
MOVED: Final = try_later("another pool serves the user now, and this link closes when its call has ended")
NO_LOGIN: Final = Answer(
    Status.FORBIDDEN, code=Code.NOT_AUTHENTICATED, why="a group has no phones: no device logs in as one"
)
NO_REGISTRATIONS: Final = try_later("the registrations of the user cannot be read")
TOO_MANY_LOGINS: Final = try_later("too many logins of this user, or from this address, wait")
UNKNOWN_PEER: Final = CloseLink("a message on a link without a verdict")
STORED: Final = Answer(Status.ACCEPTED)


def step(state: ServingState, in_force: InForce, event: Event, now: float) -> Effect:
    """Give what follows from *event*, at the loop time *now*. Raises `RemoteError` for a request that breaks a rule.

    The request may be edited, and *state* counts what it admits.
    """
    if not isinstance(event, ReceivedRequest):
        return _answered(state, in_force, event, now)
    flow, request = event.flow, event.request
    sender = flow.sender
    if sender is None:
        return UNKNOWN_PEER
    if flow.link.kind is LinkKind.PARTNER and (refused := state.trunk_challenges.refused(flow, request)) is not None:
        return CloseLink(refused.why) if isinstance(refused, Drop) else refused
    if flow.link.kind is LinkKind.CLIENT:
        host, port = flow.link.remote
        flow.mark = mark_received(request, host, port, flow.mark)
    if request.method == "ACK" and request.max_forwards == 0:
        return NO_HOPS
    if request.method in POSTED and isinstance(sender, ServerSender) and sender.kind is LinkKind.SERVER:
        return AskControlPlane(sender.peer)
    return _routed(state, in_force, event, now)


def _answered(state: ServingState, in_force: InForce, event: Answered, now: float) -> Effect:
    """Give what follows from the answer to what was asked for a request."""
    received, sender = event.received, event.received.flow.sender
    effect: Effect = TOO_MANY_LOGINS
    if sender is None:
        effect = UNKNOWN_PEER
    elif isinstance(event, LoggedIn):  # the sender has rights now
        outcome = decide(received.request, received.place, sender, in_force.facts)
        effect = _resolved(state, in_force, received, sender, outcome, now)
    elif isinstance(event, LoginDue):
        prove = Prove(event.aor, status_for(received.request))
        effect = _log_in(state, in_force, received, prove, has_waited=True)
    elif isinstance(event, BindingsRead):
        effect = _found(state, in_force, sender, event, now)
    elif isinstance(event, (MessageStored, MembersReached)):
        effect = _kept(event)
    elif isinstance(event, IdentityJudged):
        effect = event.refused or _onward(received, event.forward)
    elif isinstance(event, TargetsLost):
        effect = _again(state, in_force, sender, event, now)
    elif isinstance(event, Diverting):
        effect = _diverting(state, in_force, sender, event, now)
    elif isinstance(event, NotOfControlPlane):
        effect = _routed(state, in_force, received, now)
    return effect


# A request has arrived


def _routed(state: ServingState, in_force: InForce, received: ReceivedRequest, now: float) -> Effect:
    """Refuse a request at once, or take our entries from its Route and decide."""
    flow, request = received.flow, received.request
    refused = refused_at_once(state, flow, request)
    if refused is not None:
        return refused
    received.loop = loop_hash(request)
    if state.branches.looped(request, received.loop):
        return LOOP
    if request.method == "REGISTER" and not flow.service_route and flow.link.kind is LinkKind.CLIENT:
        transport = state.listeners[flow.link.port].transport
        flow.service_route = service_route(request, in_force.names, flow.link.local, transport)
    may_be_screened = request.method == "INVITE" and in_force.applications.screen
    mark = mark_of_screened(flow.sender, request) if may_be_screened else ""
    place = received.place = take_place(request, in_force.names, state.tokens, flow.link.local)
    if flow.link.kind is LinkKind.SERVER and (request.method == "REGISTER" or place.login is not None):
        carried = _carried(state, received)
        if carried is not None:
            return carried
    sender = received.flow.sender
    outcome = decide(request, place, sender, in_force.facts) if sender is not None and not mark else None
    if mark and isinstance(sender, ServerSender):
        received.screened = mark
        outcome = let_on(state, in_force, sender, request, place, mark)
    if sender is None or outcome is None:
        return UNKNOWN_PEER
    if isinstance(outcome, Register) and request.present & CREDENTIALS and _has_token(in_force, request):
        outcome = Prove(outcome.aor, Status.UNAUTHORIZED)  # a later token renews a login
    if isinstance(outcome, Prove):
        return _log_in(state, in_force, received, outcome, has_waited=False)
    return _resolved(state, in_force, received, sender, outcome, now)


def _has_token(in_force: InForce, request: Request) -> bool:
    """Tell whether a REGISTER has an access token, and the topology a provider for it."""
    return in_force.view.loaded.topology.oauth is not None and bearer_of(request) is not None


def _carried(state: ServingState, received: ReceivedRequest) -> Effect | None:
    """Serve the end of a carried flow; take a request of its client as one of the client, and give None."""
    by, request, place = received.flow, received.request, received.place
    if place.path is not None and is_end(request):
        ended = state.access.ended(by, place.path)
        return ended if isinstance(ended, Answer) else CloseCarriedLink(ended)
    carried = state.home_flows.flow_of(by, request, place)
    if not isinstance(carried, Flow):
        return carried
    received.flow = carried
    if place.login is not None and is_end(request):
        return EndCarriedFlow(carried)
    is_full = carried.account is not by.account and carried.account.full
    return RefuseForOctets(carried.account) if is_full else None


# What the role has decided


def _resolved(
    state: ServingState, in_force: InForce, received: ReceivedRequest, sender: Sender, outcome: Outcome, now: float
) -> Effect:
    """Give the effect of what the role of the server has decided; a user is found first."""
    effect: Outcome | ReadBindings = outcome
    if received.request.method == "SUBSCRIBE":
        tell_login(received.request, received.flow, sender, outcome, in_force.view.pool.name)
    if received.request.present & P_PREFERRED_IDENTITY:
        effect = on_behalf(in_force, sender, received.request, outcome)
    if isinstance(effect, ToContact):
        effect = find_contact(state, in_force, received.request, effect)
    while isinstance(effect, ToUser):  # a rule of a user may lead to another one
        effect = find_user(state, in_force, sender, received.request, effect, now)
    if isinstance(effect, Forward) and in_force.trunk_names is not None:
        effect = with_room(state, in_force.trunk_names, sender, received.request, effect, now)
    if isinstance(effect, Forward):
        return _forwarded(state, in_force, received, sender, effect)
    if isinstance(effect, Register):
        return _registered(in_force, effect)
    return _kept_here(state, in_force, received, effect)


def _kept_here(
    state: ServingState,
    in_force: InForce,
    received: ReceivedRequest,
    effect: Answer | Drop | Prove | ReadBindings | Serve | Store | ToMembers,
) -> Effect:
    """Give the effect of what goes to no other server: it is stored, or the notifier serves it, or it is answered."""
    if isinstance(effect, (Store, ToMembers)):
        return _stored(state, in_force, received, effect)
    if isinstance(effect, Serve):
        return _notified(state, received, effect)
    if isinstance(effect, Prove):
        return Answer(Status.FORBIDDEN, code=Code.NOT_AUTHENTICATED, why=f"not {effect.aor}")
    if isinstance(effect, Answer) and effect.status == Status.MOVED_TEMPORARILY:
        return sealed_redirection(state, in_force, received, effect)
    return effect


def _registered(in_force: InForce, register: Register) -> Effect:
    """Give a REGISTER to the registrar, unless its user is a group or is at home elsewhere."""
    if in_force.homes.group_rules(register.aor) is not None:
        return NO_LOGIN
    return MOVED if in_force.homes.elsewhere(register.aor) else register


def _forwarded(
    state: ServingState, in_force: InForce, received: ReceivedRequest, sender: Sender, forward: Forward
) -> Effect:
    """Judge a request that goes on: its header fields, its session description, what its receiver may see, its signature."""
    request, has_targets = (
        received.request,
        bool(forward.targets),
    )  # without, a rule has others called: each is judged then
    carries = has_targets and is_carried(forward.targets[0])  # the home pool of its user judges what passes
    if request.present & IN_REQUESTS and (not carries or isinstance(sender, ServerSender)):
        in_force.border.admit_request(request, sender)
    refused: Effect | None = None
    negotiates = (
        has_targets
        and not carries
        and request.method in NEGOTIATES
        and bool(request.body or request.method == "INVITE")
    )
    if carries:
        received.loop = carried_loop(received.loop)
    elif negotiates or request.method in EVENTS_OF_PHONES:
        refused = _judged(state, in_force, received, forward)
    if refused is None and received.flow.link.kind is LinkKind.SERVER and request.method != "ACK":
        refused = room_for(state, received, forward.identity)
    if refused is not None:
        return refused
    if negotiates and (in_force.signing or in_force.stir):
        return JudgeIdentity(forward)
    return forward if request.method != "ACK" else _onward(received, forward)


def _judged(state: ServingState, in_force: InForce, received: ReceivedRequest, forward: Forward) -> Effect | None:
    """Judge the media of a request, or what a phone would learn by it; None if it may pass."""
    flow, request = received.flow, received.request
    if request.method in EVENTS_OF_PHONES:
        return refused_at_phone(state, in_force, flow, request, forward)
    refused = state.media.refused(flow, request, forward)
    return EndCall(forward, refused) if refused is not None and request.method == "ACK" else refused


def _onward(received: ReceivedRequest, forward: Forward) -> Forward | ForwardAck:
    """Give what is done with a request that may go on."""
    return ForwardAck(forward) if received.request.method == "ACK" else forward


def _stored(state: ServingState, in_force: InForce, received: ReceivedRequest, store: Store | ToMembers) -> Effect:
    flow, request = received.flow, received.request
    if request.present & IN_REQUESTS and flow.sender is not None:
        in_force.border.admit_request(request, flow.sender)
    if flow.link.kind is not LinkKind.SERVER:
        return store
    return room_for(state, received, store.identity) or store


def _kept(event: MessageStored | MembersReached) -> Effect:
    """Answer a MESSAGE that was stored, or sent to the members of a group: 202 only if each of them has it, or will get it."""
    if isinstance(event, MessageStored):
        return STORED if event.result is Storing.STORED else RefuseUnstored(event.aor, event.result)
    if not event.missed:
        return STORED
    missed = f"{event.missed} Of {event.members} Members Missed"
    return Answer(
        Status.TEMPORARILY_UNAVAILABLE, missed, why=f"{missed}: too much is stored, or their pool does not answer"
    )


def _notified(state: ServingState, received: ReceivedRequest, serve: Serve) -> Effect:
    if state.siblings.has_notifier(received.flow, serve.aor):
        return HandOver(serve.aor)
    if received.flow.link.kind is not LinkKind.SERVER:
        return serve
    return room_for(state, received, serve.identity) or serve


# Answers to what was asked for a request


def _found(state: ServingState, in_force: InForce, sender: Sender, event: BindingsRead, now: float) -> Effect:
    """Go on with a request whose user was looked up."""
    received = event.received
    if event.rows is None:
        return NO_REGISTRATIONS
    found = at_bindings(state, in_force, sender, received.request, event.user, event.rows)
    return _resolved(state, in_force, received, sender, found, now)


def _diverting(state: ServingState, in_force: InForce, sender: Sender, event: Diverting, now: float) -> Effect:
    """Find the target to which a call is forwarded that rings, or has rung."""
    received, read = event.received, event.read
    found: Found = NO_REGISTRATIONS
    if read is None:
        found = past_screener(state, sender, event.wanted) or diversion_target(
            in_force, sender, opened_redirection(state, in_force, event), state.time
        )
    elif read.rows is not None:
        found = at_bindings(state, in_force, sender, received.request, read.user, read.rows)
    while isinstance(found, ToUser):
        found = find_user(state, in_force, sender, received.request, found, now)
    if isinstance(found, Answer) and found.status == Status.MOVED_TEMPORARILY:
        return sealed_redirection(state, in_force, received, found, event.wanted.chain)
    if not isinstance(found, Forward):
        return found
    refused = state.media.refused(received.flow, received.request, found) if found.targets else None
    if is_of_group(event.wanted.chain) and found.targets:
        state.last_called.called(event.wanted.chain[-1].by, event.wanted.chain[-1].to)
    return refused or found


def _again(state: ServingState, in_force: InForce, sender: Sender, event: TargetsLost, now: float) -> Effect:
    """Serve a SUBSCRIBE or PUBLISH whose notifier cannot be reached, here or at the next server; store a MESSAGE.

    A subscription that it had is lost with it: the phone subscribes again after a 481 (RFC 6665 section 4.1.2.2).
    """
    received, what = event.received, event.what
    if isinstance(what, Store):
        return _stored(state, in_force, received, what)
    if received.request.to.tag is not None:
        return NO_SUBSCRIPTION
    chosen = next_notifier(state, in_force, received.request, what)
    return _resolved(state, in_force, received, sender, chosen, now)


def _log_in(
    state: ServingState, in_force: InForce, received: ReceivedRequest, prove: Prove, *, has_waited: bool
) -> Effect:
    """Have the credentials of a request checked here, or a REGISTER sent to the home pool of its user, which checks them.

    If some have failed before, they wait first. A request without credentials is challenged at once.
    """
    flow, request, aor = received.flow, received.request, prove.aor
    if flow.device == aor and in_force.homes.has_users and not in_force.homes.elsewhere(aor):
        return prove  # by its certificate, also while the users are not known
    if not in_force.homes.knows(aor):
        return NO_USERS_YET
    if not has_waited and not state.failures.has_none and request.present & CREDENTIALS:
        return AwaitLogin(aor)
    if request.method == "REGISTER":
        home = state.access.home_of(flow, aor)
        if home:
            carried = state.access.carried(flow, request, aor, home)
            if isinstance(carried, Forward):
                received.loop, received.registers = carried_loop(received.loop), aor
            return carried
        if state.access.is_too_early(flow, aor):
            return NOT_TAKEN_OVER
    return prove
