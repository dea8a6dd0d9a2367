"""Applications that screen calls: each gets a new call before the phones of its callee ring, and refuses, takes or lets it on.

It lets a call on by an INVITE to the Request-URI that it got, by the Route entry behind its own one, as an application server of
an IMS does (3GPP TS 24.229 section 5.4.3.3). The entry has an encrypted token of ours, the original dialog identifier. So a proxy
needs loose routing only. The token is valid for two minutes, for one call, at the server that has made it, from the application
that has got it, to the user who was called. It names the caller, whom this server has known when the call came first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain
from sipmesh.routing.content_indirection import refused_indirection
from sipmesh.routing.identity.border import INSIDE
from sipmesh.routing.identity.privacy import hides_identity
from sipmesh.routing.identity.route_set import first_route
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import RETRY_AFTER_S, Answer, Forward, Screening, ToUser
from sipmesh.routing.passport.verification import FRESH_S
from sipmesh.routing.proxy.branch_kinds import is_beside
from sipmesh.routing.proxy.forwarding import DEFAULT_MAX_FORWARDS, route_to
from sipmesh.routing.proxy.target_set import is_sips
from sipmesh.routing.registrar.gruu import is_gruu
from sipmesh.routing.roles.front_end import FrontEndFacts, route
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.serving.call_forwarding import require_replaces
from sipmesh.server.proxy.serving.call_groups import rings_for_group
from sipmesh.sip.rows import ROUTE
from sipmesh.sip.status import Status
from sipmesh.sip.text import ascii_lower, shown
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.identity.route_set import RouteSet
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.numbers.application_table import ApplicationRoute
    from sipmesh.routing.proxy.effects import Divert
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.proxy.flow import ReceivedRequest
    from sipmesh.server.proxy.serving.events import Diverting
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

MARK: Final = "screened."
"""What the user part of our Route entry begins with, before the token."""

LASTS_S: Final = 2 * FRESH_S
"""Seconds in which an application lets a call on: for as long, used tokens are remembered (`Replays`)."""

HOPS: Final = 10
"""Hops that a screening costs. A B2BUA sends 70 hops again: without an end in the token, it could call in circles."""

LEFT: Final = "left "
"""Before the name of a server that a screened call has left for the next one, in the names of those who have used tokens."""

MAC_CHARACTERS: Final = 16
_PARTS: Final = 7
NOT_OF_A_CALLER: Final = INSIDE | {"reply-to"}
"""Fields that an application may not write in the name of a caller: no user may send them, or they lead a call back elsewhere."""

_BACK: Final = "redirected."
"""Separates the tokens of redirections from those in Route."""


def to_screener(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser
) -> Forward | Answer | None:
    """Send a new call to the application that screens the calls of its callee; None if the phones ring now.

    It is not screened again, and neither are emergency calls, calls of the application itself, and what rings beside others. A
    call that takes the place of another one is not screened (RFC 3891): phones that do not know Replaces refuse it.
    """
    home, view = in_force.homes.named(outcome.aor) or "", in_force.view
    application = in_force.applications.screener(outcome.aor, home)
    if application is None or outcome.is_screened or request.to.tag is not None:
        return None
    if _is_exempt(in_force, sender, request, outcome, application):
        return None
    if request.has("replaces"):
        require_replaces(request)
        return None
    if application.next_hop != view.pool.name:  # our pool has taken over the users, and not their application
        why = f"{application.pool}, which screens the calls to {outcome.aor}, is not behind this pool"
        later = (("Retry-After", RETRY_AFTER_S),)
        return None if application.passes else Answer(Status.SERVICE_UNAVAILABLE, headers=later, why=why)
    hops = (request.max_forwards or DEFAULT_MAX_FORWARDS) - HOPS
    if hops <= 0:
        return Answer(Status.TOO_MANY_HOPS, why=f"no hops are left to have {application.pool} screen the call")
    token = _token(state, in_force, request, outcome, application.pool, hops)
    entry = route_to(MARK + token, state.listeners[LinkKind.SERVER].sent_by, sips=is_sips(request.uri))
    through = f"<sip:{application.pool};transport=tls;lr>, {entry}"
    uri = request.uri if is_gruu(request.ruri) else outcome.aor
    target = ServerTarget(view.pools[application.pool].servers, LinkKind.SERVER, uri, through=through)
    onward = ToUser(outcome.aor, outcome.identity, outcome.device, outcome.instead, outcome.chain, is_screened=True)
    return Forward((target,), outcome.identity, Screening(onward, application.pool, application.passes, token))


def past_screener(state: ServingState, sender: Sender, wanted: Divert) -> ToUser | Answer | None:
    """Go on with a call whose application is away: its user, or the refusal. None if no application screens the call.

    A client gets 503, a server what is said for it. The application may not let the call on from now. If it has let the call on
    and then ended it itself, the phones have rung, and do not ring again: its status is that of the call.
    """
    screening, onward = wanted.screening, wanted.onward
    if screening is None or onward is None:
        return None
    was_let_on = use_up(state, screening.pool, screening.token)
    if isinstance(onward, ToUser):
        why = f"{screening.pool} has let the call on, and has failed then"
        return Answer(wanted.failed_with, why=why) if was_let_on and wanted.failed_with else onward
    if isinstance(sender, ServerSender):
        return onward
    return replace(onward, status=Status.SERVICE_UNAVAILABLE)


def _is_exempt(
    in_force: InForce, sender: Sender, request: Request, outcome: ToUser, application: ApplicationRoute
) -> bool:
    """Tell whether a call is not screened for what it is."""
    if is_beside(outcome.chain) or rings_for_group(in_force, sender, request, outcome.aor):
        return True
    is_its_own = isinstance(sender, ServerSender) and sender.peer.pool == application.pool and not outcome.chain
    return is_its_own or in_force.is_emergency(outcome.identity or "", request.ruri)


def mark_of_screened(sender: Sender | None, request: Request) -> str:
    """Take the token of a screened call from the Route of an application's INVITE; "" if there is none."""
    if not (request.present & ROUTE and isinstance(sender, ServerSender) and sender.peer.role is Role.APPLICATION):
        return ""
    entry = first_route(request)
    user = (entry.user or "") if entry is not None else ""
    if not user.startswith(MARK):
        return ""
    request.pop_item("route")
    return user.removeprefix(MARK)


def let_on(
    state: ServingState, in_force: InForce, sender: ServerSender, request: Request, place: RouteSet, token: str
) -> ToUser | Answer:
    """Let a call go on to the phones of its callee, as a call of its first caller, if the application has its *token*."""
    facts = in_force.facts
    if not isinstance(facts, FrontEndFacts):
        return _refused(f"{in_force.view.name} has had no call screened")
    called = route(request, place, sender, facts, None)
    if isinstance(called, Answer):
        return called
    if not isinstance(called, ToUser):
        return _refused(f"{sender.peer.name} lets a call on to {shown(request.uri)}, which is no user")
    user, pool = in_force.homes.owner_of(called.aor) or called.aor, sender.peer.pool or ""
    parts = _said(state, in_force, pool, user, token)
    if not parts:
        return _refused(f"this server gave {pool} no such token for a call to {user}")
    ends, hops, hidden, sent_as, _, shown_as, identity = parts
    refused = _refused_again(state, request, sent_as, shown_as, is_hidden=hidden == "1", ends=int(ends))
    refused = refused or refused_indirection(request)
    if refused is None and state.used_tokens.is_used(LEFT + sender.peer.name, _mark(token)):
        refused = _refused(
            f"{sender.peer.name} was silent, or has given the call up: it has gone to the next server of {pool}"
        )
    if refused is None and use_up(state, pool, token):
        refused = _refused("the token in its Route has let another call on, or its call is over")
    if refused is not None:
        return refused
    for name in NOT_OF_A_CALLER:
        request.remove(name)
    request.replace("max-forwards", str(min(request.max_forwards or DEFAULT_MAX_FORWARDS, int(hops))))
    return ToUser(user, identity or None, called.device, is_screened=True)


def use_up(state: ServingState, pool: str, token: str) -> bool:
    """Have a token of the application *pool* let no call on from now; tell whether that was so before.

    With `LEFT` and the name of a server as *pool*, it lets no call of this server on, and those of the others of its pool.
    """
    return state.used_tokens.is_replayed(pool, _mark(token), None, int(state.wall()))


def _mark(token: str) -> bytes:
    return token[-MAC_CHARACTERS:].encode()


def sealed_redirection(
    state: ServingState, in_force: InForce, received: ReceivedRequest, answer: Answer, chain: Chain = NOT_DIVERTED
) -> Answer:
    """Encrypt a redirection that an application gets for a call that it has let on: the home pool of the caller carries it out.

    The application passes it on, as each 302. It does not learn the target, and it counts for the call that was screened alone.
    *chain* leads to the target: what rings beside other phones is refused.
    """
    sender, request = received.flow.sender, received.request
    if not isinstance(sender, ServerSender) or sender.peer.role is not Role.APPLICATION:
        return answer
    pool, user = sender.peer.pool or "", in_force.homes.owner_of(request.ruri.aor) or request.ruri.aor
    said = _said(state, in_force, pool, user, received.screened)
    if not said or is_beside(chain):
        return _refused(f"no pool believes that {pool} forwards a call of a user who is at home elsewhere")
    text = "\n".join(f"{name}: {value}" for name, value in answer.headers)
    sealed = state.tokens.hide_in(_BACK, text, _bound_to(state, in_force, _BACK, said[4]))
    entry = f"<sip:{MARK}{sealed}@{state.listeners[LinkKind.SERVER].sent_by};transport=tls>"
    return Answer(answer.status, headers=(("Contact", entry),), why=answer.why)


def opened_redirection(state: ServingState, in_force: InForce, event: Diverting) -> Diverting:
    """Decrypt the redirection of a screened call that the application has passed on: it is one of our own pool."""
    wanted, request = event.wanted, event.received.request
    response = wanted.redirection
    if response is None or not isinstance(wanted.target, ServerTarget) or not response.contacts[0].is_sip:
        return event
    token, call = response.contacts[0].sip_uri.user or "", _call_of(state, request)
    if not token.startswith(MARK):
        return event
    text = state.tokens.reveal(token.removeprefix(MARK), _bound_to(state, in_force, _BACK, call), _BACK)
    if text is None:
        return event
    response = response.copy()
    for name in ("contact", "diversion"):
        response.remove(name)
    for line in text.split("\n"):
        name, _, value = line.partition(": ")
        response.append(ascii_lower(name), value)
    ours = ServerTarget(tuple(in_force.view.way_to(in_force.view.pool.name)), LinkKind.SERVER, request.uri)
    return replace(event, wanted=replace(wanted, redirection=response, target=ours))


def _said(state: ServingState, in_force: InForce, pool: str, user: str, token: str) -> list[str]:
    """Read a token of the application *pool* for a call to *user*; nothing if this server has not made it for them."""
    text = state.tokens.reveal(token, _bound_to(state, in_force, pool, user), MARK)
    parts = text.split(" ", _PARTS - 1) if text is not None else []
    return parts if len(parts) == _PARTS else []


def _refused_again(
    state: ServingState, request: Request, sent_as: str, shown_as: str, *, is_hidden: bool, ends: int
) -> Answer | None:
    """Refuse a call that is late, or whose caller is shown in another way than when it came first.

    A token of the future is late too: the clock of this server has been set back, and its use may be forgotten.
    """
    if not state.wall() <= ends <= state.wall() + LASTS_S:
        return _refused(f"the token in its Route has ended: a call is let on within {LASTS_S} seconds")
    if state.tokens.name_hash(request.from_.aor).hex() != sent_as or request.from_.has_verstat:
        return _refused(f"From {shown(request.from_.uri)} is not that of the call which was screened")
    if request.from_.display and _display_hash(state, request) != shown_as:
        return _refused("the display name in From is not that of the call which was screened")
    if is_hidden and not hides_identity(request):
        return _refused("its caller withholds the name, and the Privacy of the call which was screened is missing")
    return None


def _refused(why: str) -> Answer:
    return Answer(Status.FORBIDDEN, code=Code.ASSERTION_NOT_ALLOWED, why=why)


def _token(
    state: ServingState, in_force: InForce, request: Request, outcome: ToUser, application: str, hops: int
) -> str:
    """Write what must be the same when the call comes back: its end, the hops that are left, and who calls.

    With the dialog in it, no two calls have the same token, which counts once.
    """
    tokens, sent_as = state.tokens, request.from_
    said = (
        int(state.wall()) + LASTS_S,
        hops,
        int(hides_identity(request)),
        tokens.name_hash(sent_as.aor).hex(),
        _call_of(state, request),
        _display_hash(state, request),
        outcome.identity or "",
    )
    return tokens.hide_in(MARK, " ".join(map(str, said)), _bound_to(state, in_force, application, outcome.aor))


def _display_hash(state: ServingState, request: Request) -> str:
    return state.tokens.name_hash(f"shown {request.from_.display or ''}").hex()


def _call_of(state: ServingState, request: Request) -> str:
    """Hash what tells a call that comes first from each other."""
    return state.tokens.dialog_hash(request.call_id, request.from_.tag or "").hex()


def _bound_to(state: ServingState, in_force: InForce, application: str, user: str) -> bytes:
    """Hash for whom a token is, and who has made it: this server, since its present start."""
    made_by = f"{state.tokens.incarnation} {in_force.view.name}"
    return state.tokens.name_hash(f"screened {made_by} {application} {user}")
