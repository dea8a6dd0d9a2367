"""Which requests are refused before a role decides where they go (RFC 3261 section 16.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.distribution.event import names_package
from sipmesh.routing.identity.privacy import OPTION
from sipmesh.routing.outcome import DRAINING, Answer, try_later
from sipmesh.routing.proxy.breadth import breadth_of
from sipmesh.server.proxy.serving.effects import Effect, RefuseForOctets, RefuseForUsers
from sipmesh.sip.check import unsupported
from sipmesh.sip.rows import EVENT, MAX_BREADTH, PROXY_REQUIRE
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow, ReceivedRequest
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

UNDERSTOOD: Final = (OPTION,)
"""The option tags that a request may require of proxies (RFC 3261 16.3)."""

OVERLOADED: Final = try_later("too many requests at once")
TOO_MANY_EXCHANGES: Final = try_later("too many exchanges at once")
NO_HOPS: Final = Answer(Status.TOO_MANY_HOPS, why="no hops left")
NO_BREADTH: Final = Answer(Status.MAX_BREADTH_EXCEEDED, why="no breadth is left for a branch")

FOR_CONTROL: Final = Answer(
    Status.FORBIDDEN,
    code=Code.ROLE_NOT_ALLOWED,
    why="its link is for the control plane alone, as the handshake said (ALPN)",
)

NOT_ITS_PACKAGE: Final = Answer(
    Status.BAD_EVENT,
    code=Code.ROLE_NOT_ALLOWED,
    why="an event package for servers of this network, and its sender is not such a server",
)


def refused_at_once(state: ServingState, flow: Flow, request: Request) -> Effect | None:
    """Refuse a request on the wrong link, while the server drains, without room or hops; None if it may be routed."""
    refused: Effect | None = None
    if flow.link.is_control or request.present & EVENT:
        refused = refused_there(flow, request)
    if refused is None and state.is_draining and request.to.tag is None:
        refused = DRAINING
    if refused is not None or request.method == "ACK":
        return refused
    if state.admission.overload.active and state.admission.is_refused(flow.link, request):
        refused = OVERLOADED
    elif flow.account.full:
        refused = RefuseForOctets(flow.account)
    elif request.max_forwards == 0:
        refused = NO_HOPS
    elif request.present & (MAX_BREADTH | PROXY_REQUIRE) and (answer := refused_extension(request)) is not None:
        refused = answer
    elif state.client_transactions.load >= state.max_exchanges:
        refused = TOO_MANY_EXCHANGES
    elif flow.link.kind is LinkKind.PARTNER:
        refused = _refused_of_partner(state, flow, request)
    return refused


def refused_there(flow: Flow, request: Request) -> Answer | None:
    """Refuse a request that its sender may not send on the link of *flow*; None if it may.

    An OPTIONS for the server itself shows its peer that a control link works.
    """
    link = flow.link
    if link.is_control and link.agreed_on_control and (request.method != "OPTIONS" or request.ruri.user is not None):
        return FOR_CONTROL
    return NOT_ITS_PACKAGE if request.present & EVENT and names_package(request) else None


def refused_extension(request: Request) -> Answer | None:
    """Refuse a request that asks for an extension, or has no breadth left; None if it does neither."""
    required = unsupported(request, "proxy-require", UNDERSTOOD)
    if required:
        return Answer(Status.BAD_EXTENSION, headers=(("Unsupported", ", ".join(required)),))
    return NO_BREADTH if breadth_of(request) == 0 else None


def _refused_of_partner(state: ServingState, flow: Flow, request: Request) -> RefuseForUsers | None:
    """Refuse a partner's new request to one more user than it, or its sender, may address in an hour.

    Other users are not affected, so the partner is not asked to stay away (503). A request with a To tag of no dialog is
    refused later.
    """
    if request.to.tag is not None:
        return None
    is_admitted = state.accounts.addressed.admits(flow.link.peer_name, request.from_.aor, request.ruri.aor)
    return None if is_admitted else RefuseForUsers()


def room_for(state: ServingState, received: ReceivedRequest, identity: str | None) -> RefuseForOctets | None:
    """Count a request of a server of ours for the sender with this *identity*; refuse it if the account of the sender is full."""
    account = state.accounts.carried(received.flow.account, identity, received.request)
    full = account.first_full()
    if full is not None:
        return RefuseForOctets(full)
    received.account = account
    return None
