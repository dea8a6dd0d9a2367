"""A call or message of a group: the server that decides first about it has the members ring, whose pools apply their own rules.

Every server knows the groups of all pools, so no group depends on the servers of one pool. No rule of a member leads the call
elsewhere, and a number is called only by a rule of the group: with the rights of the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.call_rules import CallerRule, CallRules
from sipmesh.routing.call_rules.diversion import came_beside, plain_uri
from sipmesh.routing.call_rules.group_steps import steps_of
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.events.stored_message import is_storable
from sipmesh.routing.identity.privacy import hides_identity
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Forward, ToMembers, ToUser
from sipmesh.routing.proxy.branch_kinds import is_beside
from sipmesh.routing.proxy.screening import DECLINED, screened
from sipmesh.server.proxy.serving.call_forwarding import Gone, forwarded
from sipmesh.server.proxy.serving.delegates import delegate_in
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

ONLY_CALLS: Final = Answer(
    Status.METHOD_NOT_ALLOWED, headers=(("Allow", "INVITE, MESSAGE"),), why="a group takes calls and messages only"
)
NOT_OF_OURS: Final = Answer(
    Status.FORBIDDEN, code=Code.FROM_NOT_ALLOWED, why="no rule of the group lets users of others write to it"
)
NOT_STORED: Final = Answer(
    Status.TEMPORARILY_UNAVAILABLE, why="a message to a group has to be stored for its members, and this one cannot be"
)
NO_MEMBER: Final = Answer(Status.TEMPORARILY_UNAVAILABLE, why="the group has no other member than the sender")
IS_BESIDE: Final = Answer(Status.TEMPORARILY_UNAVAILABLE, why="a group rings beside no user and in no other group")
NO_CALL: Final = Answer(
    Status.CALL_OR_TRANSACTION_DOES_NOT_EXIST, why="a group has no call that another one could replace"
)
NOBODY: Final = Answer(Status.TEMPORARILY_UNAVAILABLE, why="no member of the group has a phone")


def write_to_group(in_force: InForce, request: Request, outcome: ToUser, rules: CallRules) -> ToMembers | Answer:
    """Find who gets a MESSAGE to the group of *outcome*, whose *rules* these are: each member but its sender.

    Users of ours may write, unless a rule of the group blocks them. Others need a rule that allows them.
    """
    sender, homes = outcome.identity, in_force.homes
    if sender is None or not (homes.of(sender) is not None or rules.lets_through(sender)):
        return NOT_OF_OURS
    if rules.rule_for(sender) is CallerRule.BLOCK:
        return DECLINED
    if not in_force.messages.per_user or not is_storable(request):
        return NOT_STORED
    members = [one for one in rules.members if one != sender and homes.of(one) is not None]
    return ToMembers(outcome.aor, sender, tuple(members)) if members else NO_MEMBER


def ring_group(
    state: ServingState,
    in_force: InForce,
    sender: Sender,
    request: Request,
    outcome: ToUser,
    rules: CallRules,
    now: float,
) -> Gone:
    """Find who rings for a request to the group of *outcome*, whose *rules* these are, at the loop time *now*."""
    if request.method != "INVITE":
        return ONLY_CALLS
    if request.has("replaces"):
        return NO_CALL
    if is_beside(outcome.chain):
        return IS_BESIDE
    group, caller = CallHandling(outcome.aor, rules, outcome.chain), outcome.identity
    is_hidden, delegate = hides_identity(request), delegate_in(in_force, request, caller)
    said = screened(group, caller, is_hidden=is_hidden, replaces=False, is_beside=False, delegate=delegate)
    if isinstance(said, Answer):
        return said
    members = [one for one in state.last_called.in_order(outcome.aor, rules) if _may_ring(state, in_force, one, now)]
    if said is None and members:
        steps = steps_of(rules, members)
        return Forward((), caller, CallHandling(outcome.aor, rules, outcome.chain, steps, rules.ring_s))
    chain = said or group.after(Status.TEMPORARILY_UNAVAILABLE)
    return NOBODY if chain is None else forwarded(in_force, sender, request, caller, chain, state.time)


def _may_ring(state: ServingState, in_force: InForce, member: str, now: float) -> bool:
    """Tell whether *member* may have a phone; of users of other pools, their home pool knows."""
    home = in_force.homes.of(member)
    if home != in_force.view.pool.name:
        return home is not None
    held = state.registrations.bindings(member, now)
    return held is None or bool(held)


def rings_for_group(in_force: InForce, sender: Sender, request: Request, user: str) -> bool:
    """Tell whether another server of ours calls *user*, or writes to *user*, as a member of a group, or beside another user.

    No rule of *user* leads such a call elsewhere.
    """
    if not isinstance(sender, ServerSender) or sender.peer.role is not Role.FRONT_END:
        return False
    return came_beside(request) or bool(group_of(in_force, sender, request, user))


def group_of(in_force: InForce, sender: Sender, request: Request, user: str) -> str:
    """Return the group as whose member *user* gets a request from another server of ours; "" if it is none."""
    if not isinstance(sender, ServerSender) or sender.peer.role is not Role.FRONT_END:
        return ""
    history = request.items("history-info")
    group = plain_uri(history[-2]) if len(history) > 1 else ""
    rules = in_force.homes.group_rules(group) if group else None
    return group if rules is not None and user in rules.members else ""
