"""What the watcher of a user may see: which SUBSCRIBE, NOTIFY and REFER reach a phone of this server, or come from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.packages import ABOUT_USERS, DIALOG, WITH_DIALOGS, base_package
from sipmesh.routing.events.reference import EARLY_REFERENCE
from sipmesh.routing.events.watcher_rules import is_unseen
from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.outcome import Answer
from sipmesh.routing.proxy.target_set import not_registered
from sipmesh.routing.target import FlowTarget, ServerTarget
from sipmesh.server.in_force.address_rules import watching
from sipmesh.sip.status import Status
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Forward
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

EVENTS_OF_PHONES: Final = frozenset({"SUBSCRIBE", "NOTIFY", "REFER"})

UNNAMED: Final = "a watcher who hides"


def refused_at_phone(
    state: ServingState, in_force: InForce, flow: Flow, request: Request, outcome: Forward
) -> Answer | None:
    """Refuse one of `EVENTS_OF_PHONES` that a phone, or the watcher of a phone, may not get; None if it may pass."""
    if request.method == "REFER":
        return refused_early_reference(state, request, outcome)
    target = outcome.targets[0]
    owner = state.flow_table.user_at(target) if isinstance(target, FlowTarget) else ""
    if request.method == "SUBSCRIBE":
        return refused_watcher(in_force, request, owner, outcome.identity or "") if owner else None
    is_of_phone = flow.link.kind is LinkKind.CLIENT
    return refused_notify(in_force, request, outcome, owner, is_of_phone=is_of_phone)


def refused_early_reference(state: ServingState, request: Request, outcome: Forward) -> Answer | None:
    """Refuse a REFER to a phone of this server inside a call that still rings: the call is not accepted yet."""
    target = outcome.targets[0]
    reached = state.flow_table.flow_to(target) if isinstance(target, FlowTarget) else None
    if reached is None:
        return None
    return EARLY_REFERENCE if state.siblings.rings(reached.carrier or reached, request.call_id) else None


def refused_watcher(in_force: InForce, request: Request, aor: str, watcher: str) -> Answer | None:
    """Refuse a request by whose answer *watcher* would see what it may not see of *aor*; None for all else.

    It is asked for requests to phones: for them, a user who blocks politely has no phone.
    """
    event = base_package(request) if request.method == "SUBSCRIBE" else ""
    seen = _seen_by(in_force, request, aor, watcher, event)
    if seen is Watching.BLOCK:
        needs = f": {event} needs a rule of {aor} that allows it" if event in WITH_DIALOGS else ""
        return Answer(
            Status.FORBIDDEN, code=Code.FROM_NOT_ALLOWED, why=f"{watcher or UNNAMED} may not watch {aor}{needs}"
        )
    return not_registered(in_force.view.name) if seen is Watching.POLITE_BLOCK else None


def _seen_by(in_force: InForce, request: Request, aor: str, watcher: str, event: str) -> Watching:
    """Give what the answer of a phone may tell *watcher*. Only a rule of *aor* counts for what is no package about users."""
    if event in ABOUT_USERS:
        return _may_watch(in_force, aor, watcher, event)
    rule = in_force.homes.watcher_rule(aor, watcher) if watcher != aor and is_unseen(request) else None
    return rule or Watching.ALLOW


def _may_watch(in_force: InForce, aor: str, watcher: str, event: str) -> Watching:
    """Give what *watcher* may see of *aor* by the package *event*; for `WITH_DIALOGS` no default of the topology counts.

    A delegate sees the calls of the user, so that it can pick them up; a rule about watchers counts before.
    """
    if watcher == aor:
        return Watching.ALLOW
    if event in WITH_DIALOGS:
        picks_up = event == DIALOG and in_force.homes.is_delegate(watcher, aor)
        return in_force.homes.watcher_rule(aor, watcher) or (Watching.ALLOW if picks_up else Watching.BLOCK)
    return watching(in_force, aor, watcher)


def refused_notify(
    in_force: InForce, request: Request, outcome: Forward, owner: str, *, is_of_phone: bool
) -> Answer | None:
    """End a subscription at a phone if its watcher may not see the user of the phone any more (481); None for all else.

    The phone removes a subscription whose NOTIFY gets 481 (RFC 6665 section 4.2.2). *owner* is the user whose phone here gets
    the NOTIFY, "" if none does. *is_of_phone*: it came from a phone, and not from another server.

    A watcher who hides has no name in To. So the server of our pool with the link of the watcher looks; for a watcher
    of another pool or of a partner no server can, so it gets nothing of a user who hides from any watcher (rule R12).
    """
    identity, event = outcome.identity, base_package(request)
    if identity is None or event not in ABOUT_USERS:
        return None
    if is_anonymous(request.to):
        watcher = _hidden_watcher(in_force, identity, outcome, owner, event)
    else:
        watcher = _named_watcher(in_force, request) if is_of_phone else ""
    if not watcher or (watcher != UNNAMED and _may_watch(in_force, identity, watcher, event) is Watching.ALLOW):
        return None
    why = f"{watcher} may not watch {identity} any more"
    return Answer(Status.CALL_OR_TRANSACTION_DOES_NOT_EXIST, code=Code.FROM_NOT_ALLOWED, why=why)


def _named_watcher(in_force: InForce, request: Request) -> str:
    """Give the watcher in To, "" if there is none."""
    name = name_of(request.to)
    return "" if name is None else in_force.homes.owner_of(name.aor) or name.aor


def _hidden_watcher(in_force: InForce, identity: str, outcome: Forward, owner: str, event: str) -> str:
    """Give the watcher who hides; `UNNAMED` if no server could say later who it is, "" if it need not be known here."""
    if in_force.homes.of(identity) != in_force.view.pool.name:
        return ""
    is_unknown = not owner and _leaves_pool(in_force, outcome) and _hides_from_somebody(in_force, identity, event)
    return UNNAMED if is_unknown else owner


def _hides_from_somebody(in_force: InForce, aor: str, event: str) -> bool:
    """Tell whether a watcher without a name may be a user who may not see what *event* tells of *aor*."""
    if in_force.homes.blocks_somebody(aor):
        return True
    return event in WITH_DIALOGS and _may_watch(in_force, aor, "", event) is not Watching.ALLOW


def _leaves_pool(in_force: InForce, outcome: Forward) -> bool:
    target = outcome.targets[0]
    return isinstance(target, ServerTarget) and not set(target.names) <= set(in_force.view.pool.servers)
