"""Applies the rules of a callee to a call, and finds where a call goes that a user has forwarded.

The server that is the first to decide about a call carries a diversion out: it may assert the caller, and has the whole
chain. The home pool of a later user answers 302 to it, with a Diversion field for each user who has forwarded (RFC 5806). So no
front end asserts a user of another pool, and no partner or phone can have us forward in the name of a user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.call_rules import NO_RULES, CallRules
from sipmesh.routing.call_rules.diversion import Chain, Diversion, Reason, chain_in, diversion_value, refusal_of, uri_of
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.privacy import hides_identity
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.routing.proxy.branch_kinds import is_beside
from sipmesh.routing.proxy.screening import screened
from sipmesh.routing.proxy.target_set import fork
from sipmesh.routing.roles.front_end import FrontEndFacts
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget, ServerTarget
from sipmesh.server.proxy.serving.delegates import delegate_in
from sipmesh.server.proxy.serving.dialling import at_gateways
from sipmesh.sip.status import Status
from sipmesh.sip.tel import NO_DOMAIN, TEL, is_tel, sip_form, target_uri
from sipmesh.sip.text import ascii_lower
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.proxy.effects import Divert
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.proxy.serving.events import Diverting
    from sipmesh.sip.fields import NameAddr
    from sipmesh.sip.message import Request, Response

NOT_OURS: Final = Answer(Status.NOT_FOUND, why="a redirection that no user of ours has made")

Gone = ToUser | Forward | Answer


def by_rules(
    in_force: InForce,
    sender: Sender,
    request: Request,
    outcome: ToUser,
    held: Sequence[Binding],
    rules: CallRules | None,
    at: datetime,
    *,
    of_group: bool = False,
) -> Gone:
    """Apply the rules of the user of *outcome*, who has the bindings *held*, to a call.

    *of_group*: another server has a group ring.
    """
    handling, beside = CallHandling(outcome.aor, rules or NO_RULES, outcome.chain), of_group or is_beside(outcome.chain)
    replaces = request.has("replaces")
    if replaces and (handling.rules.do_not_disturb or handling.rules.always):
        require_replaces(request)
    said = screened(
        handling,
        outcome.identity,
        is_hidden=hides_identity(request),
        replaces=replaces,
        is_beside=beside,
        delegate=delegate_in(in_force, request, outcome.identity),
    )
    if isinstance(said, Answer):
        return said
    if said is not None:
        return forwarded(in_force, sender, request, outcome.identity, said, at)
    found = fork(request, held, outcome.identity, in_force.view.name, in_force.view.pool_mates)
    if beside:
        handling = CallHandling(outcome.aor, NO_RULES, outcome.chain)
    if isinstance(found, Forward) or handling.rules.also:
        return Forward(found.targets if isinstance(found, Forward) else (), outcome.identity, handling)
    following = handling.after(found.status)
    return found if following is None else forwarded(in_force, sender, request, outcome.identity, following, at)


def require_replaces(request: Request) -> None:
    """Have phones that do not know Replaces refuse *request*: they would ring, past the rules of their user (RFC 3891)."""
    if "replaces" not in map(ascii_lower, request.items("require")):
        request.append("require", "replaces")


def diversion_target(in_force: InForce, sender: Sender, event: Diverting, at: datetime) -> Gone:
    """Find what a `Divert` wants; a redirection that is not followed is its own answer."""
    chain = chain_of(in_force, event.received.request, event.wanted)
    if chain is None:
        return NOT_OURS
    if event.wanted.by_first and not carries_out(in_force, sender):
        return redirected(in_force, chain)
    return forwarded(in_force, sender, event.received.request, event.identity, chain, at)


def for_caller(in_force: InForce, found: Answer, wanted: Divert) -> Response | None:
    """Give the redirection that *found* does not follow, if the caller may see it; None if *found* is the answer.

    A phone redirects its caller. A rule of a user does not: it would show its target, and who is behind a temporary GRUU.
    """
    if wanted.redirection is None or found.status != Status.NOT_FOUND:
        return None
    response = wanted.redirection.copy()
    if isinstance(wanted.target, ServerTarget):
        ours = [one for one in chain_in(response, "") if in_force.homes.owner_of(one.by)]
        if any(one.reason is not Reason.DEFLECTION for one in ours):
            return None
        if ours:
            response.remove("diversion")
    return response


def forwarded(
    in_force: InForce, sender: Sender, request: Request, caller: str | None, chain: Chain, at: datetime
) -> Gone:
    """Find the target at the end of *chain*, with the rights of the user who forwards; *caller* is who calls, *at* the time."""
    refused = refusal_of(chain, request)
    if refused:
        return Answer(Status.LOOP_DETECTED, why=refused)
    target = chain[-1].to
    name = f"sip:{target[len(TEL) :]}@{NO_DOMAIN}" if target.startswith(TEL) else target
    user = in_force.homes.owner_of(name)
    home = in_force.homes.of(user) if user else None
    is_first, is_group = carries_out(in_force, sender), in_force.homes.group_rules(user) is not None
    if is_first and home is not None and is_let_on(in_force, sender, caller):
        is_first = False
    if is_first if is_group else home == in_force.view.pool.name:
        return ToUser(user, caller, chain=chain)
    if not is_first:
        return redirected(in_force, chain)
    if home is not None:
        servers = in_force.view.way_to(home).turned(request.call_id)
        return to_servers(servers, user, caller, chain) if servers else unknown(target)
    at_application = to_application(in_force, request, caller, chain)
    if at_application is not None or not target.startswith(TEL):
        return at_application or beyond_us(in_force, request, caller, chain)
    return to_number(in_force, request, caller, chain, at)


def to_application(in_force: InForce, request: Request, caller: str | None, chain: Chain) -> Forward | None:
    """Send a forwarded call to the application that has the address or number, by the pool before it; None if no one has it."""
    target, view = chain[-1].to, in_force.view
    application = in_force.applications.at(target, target[len(TEL) :] if target.startswith(TEL) else "")
    if application is None:
        return None
    is_here = application.next_hop == view.pool.name
    way = view.pools[application.pool].servers if is_here else view.way_to(application.next_hop).turned(request.call_id)
    return to_servers(tuple(way), uri_of(target, view.loaded.topology.sip_domains[0]), caller, chain)


def carries_out(in_force: InForce, sender: Sender) -> bool:
    """Tell whether this server is the first that decides about the calls of *sender*, and not another pool of ours."""
    if not isinstance(sender, ServerSender) or sender.peer.role is not Role.FRONT_END:
        return True
    return sender.peer.pool == in_force.view.pool.name


def is_let_on(in_force: InForce, sender: Sender, caller: str | None) -> bool:
    """Tell whether an application sends a call of a user who is at home in another pool: we may not assert this user there."""
    if caller is None or not isinstance(sender, ServerSender) or sender.peer.role is not Role.APPLICATION:
        return False
    return in_force.homes.of(caller) not in {None, in_force.view.pool.name}


def redirected(in_force: InForce, chain: Chain) -> Answer:
    """Have the server before us carry out the last diversion of *chain*."""
    domain = in_force.view.loaded.topology.sip_domains[0]
    contact = ("Contact", f"<{uri_of(chain[-1].to, domain)}>")
    diversions = [("Diversion", diversion_value(one)) for one in reversed(chain)]
    why = f"{chain[-1].by.removeprefix('sip:')} forwards the call: {chain[-1].reason}"
    return Answer(Status.MOVED_TEMPORARILY, headers=(contact, *diversions), why=why)


def to_servers(servers: tuple[str, ...], uri: str, caller: str | None, chain: Chain) -> Forward:
    """Send a forwarded call to one of *servers* of ours."""
    return to_target(ServerTarget(servers, LinkKind.SERVER, uri), caller, chain)


def to_target(target: ServerTarget, caller: str | None, chain: Chain) -> Forward:
    """Send a forwarded call to *target*."""
    return Forward((target,), caller, CallHandling(chain[-1].to, NO_RULES, chain))


def to_number(in_force: InForce, request: Request, caller: str | None, chain: Chain, at: datetime) -> Forward | Answer:
    """Send a forwarded call to a telephone number: the user who forwards must be allowed to call it.

    It is judged as it is called. So a number in another spelling, which no command has written, leads nowhere.
    """
    number, by = chain[-1].to[len(TEL) :], chain[-1].by
    refusal = number_refusal(in_force, number, by)
    if refusal:
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=refusal)
    if in_force.numbers.general.plan.whole_number(sip_form(chain[-1].to)) != number:
        return unknown(number)
    target = at_gateways(in_force, request.call_id, number, by, at)
    return to_target(target, caller, chain) if target is not None else unknown(number)


def number_refusal(in_force: InForce, number: str, by: str) -> str:
    """Say why *by* may not forward a call to *number*, "" if the user may."""
    if number.removeprefix("+") in in_force.numbers.emergency:
        return f"{number} is an emergency number: no call is forwarded to it"
    return in_force.number_refusal(number, by)


def beyond_us(in_force: InForce, request: Request, caller: str | None, chain: Chain) -> Forward | Answer:
    """Send a forwarded call to an application of ours, or to a partner.

    A partner gets calls of our users only: we may assert no other caller there.
    """
    facts, target = in_force.facts, chain[-1].to
    host = target.rpartition("@")[2]
    if not isinstance(facts, FrontEndFacts):
        return unknown(target)
    if host in facts.applications:
        return to_servers(facts.applications[host], target, caller, chain)
    if host in facts.homes_of_applications:
        way = in_force.view.way_to(facts.homes_of_applications[host]).turned(request.call_id)
        return to_servers(tuple(way), target, caller, chain)
    is_partner = host in facts.partner_domains and host not in facts.trunks and host not in facts.blocked
    if not is_partner or not facts.route:
        return unknown(target)
    if caller is None or caller.rpartition("@")[2] not in facts.domains:
        why = f"{chain[-1].by.removeprefix('sip:')} forwards to a partner, and the caller is no user of ours"
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=why)
    return to_servers(facts.route.turned(request.call_id), target, caller, chain)


def unknown(target: str) -> Answer:
    """Refuse to forward to a target that is not known."""
    return Answer(
        Status.NOT_FOUND, code=Code.NO_ROUTE, why=f"nothing leads to {target}, to which the call is forwarded"
    )


def chain_of(in_force: InForce, request: Request, wanted: Divert) -> Chain | None:
    """Give the chain that a `Divert` asks for; None for a redirection that is not followed.

    A phone of a user of our pool redirects in the name of its user. So does the home pool of a user of another pool.
    """
    response, chain = wanted.redirection, wanted.chain
    if response is None:
        return chain
    by = in_force.homes.owner_of(chain[-1].to if chain else request.ruri.aor)
    to = _target_in(in_force, response.contacts[0], by)
    home = in_force.homes.of(by) if by else None
    if home is None or not to:
        return None
    if isinstance(wanted.target, (FlowTarget, RemoteFlowTarget)):
        is_here = home == in_force.view.pool.name and _is_of(wanted.target, by)
        return (*chain, Diversion(by, to, Reason.DEFLECTION)) if is_here else None
    if wanted.target is None or not set(wanted.target.names) <= set(in_force.view.way_to(home)):
        return None
    behind = chain_in(response, to)
    are_theirs = all(in_force.homes.of(one.by) == home for one in behind)
    return (*chain, *behind) if behind and behind[0].by == by and are_theirs else None


def _target_in(in_force: InForce, contact: NameAddr, by: str) -> str:
    """Give the target in the Contact of a redirection of *by*, "" if there is none that a rule could have.

    A number is written as a trunk gets it: whole, without separators and escapes.
    """
    if not (contact.is_sip or is_tel(contact.uri)):
        return ""
    uri = target_uri(contact.uri)
    number = in_force.plan_of(by).plan.whole_number(uri) if uri.has("user") else ""
    if number:
        return f"{TEL}{number}"
    return "" if uri.user is None or is_tel(contact.uri) else uri.aor


def _is_of(target: FlowTarget | RemoteFlowTarget, user: str) -> bool:
    """Tell whether *target* is a phone of *user*. The Request-URI of a call may be a Contact with the number of another user."""
    return target.binding.aor == user if isinstance(target, RemoteFlowTarget) else target.owner == owner_hash(user)
