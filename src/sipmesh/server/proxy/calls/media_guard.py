"""Refuses session descriptions that the media policy of the topology does not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.identity.sender import ClientSender, ServerSender
from sipmesh.routing.media.judgement import NEGOTIATES, MediaFault, Offer, fault_in
from sipmesh.routing.outcome import Answer
from sipmesh.routing.target import FlowTarget, ServerTarget, Target, server_of
from sipmesh.server.proxy.bridging.bridges import OFFERS
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION, Status
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Forward
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.bridging.bridges import Bridges
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.sip.message import Request, Response

JUDGES: Final = frozenset({Role.FRONT_END, *BORDERS})
"""Roles of the servers that judge media."""

MISLEADING: Final = MediaFault(
    Code.MEDIA_NOT_ENCRYPTED, "To is in a domain whose media policy is weaker than that of the Request-URI"
)


class MediaGuard:
    """Judges what agrees on media by the rules in force."""

    def __init__(self, current: Current, flow_table: FlowTable, bridges: Bridges) -> None:
        self._current, self._flow_table, self._bridges = current, flow_table, bridges

    def refused(self, flow: Flow, request: Request, outcome: Forward) -> Answer | None:
        """Return the answer to a request that may not pass; None if it may."""
        if request.method not in NEGOTIATES:
            return None
        fault: MediaFault | None = None
        if request.method == "INVITE" and self._current.value.media.misleads(
            request, by_client=isinstance(flow.sender, ClientSender)
        ):
            fault = MISLEADING
        elif request.body and not (request.method in OFFERS and self._bridges.is_in_the_clear(flow)):
            partner = _partner_of(flow) or _partner_in(outcome)
            policy = self._policy_towards(outcome.targets[0], request, outcome.identity, partner)
            fault = fault_in(request, policy)
        return self._answer(fault, fault.status) if fault is not None else None

    def refused_response(self, sent: SentBranch, response: Response) -> Answer | None:
        """Return what the caller gets instead of *response*, which has a body; None if the response may pass.

        A 2xx inside a dialog has changed the session of its sender already. With a 481 the caller ends the call too (RFC 5057
        section 5.1).
        """
        proxied = sent.proxied
        is_answer = response.status < FIRST_REDIRECTION and sent.request.method in NEGOTIATES
        if not is_answer or (response.status < FIRST_FINAL and sent.request.method != "INVITE"):
            return None  # a 1xx to another method is not forwarded
        fault = fault_in(response, self._policy(proxied, sent), _offer_of(proxied))
        if fault is None:
            return None
        ends_the_call = response.status >= FIRST_FINAL and proxied.request.to.tag is not None
        return self._answer(
            fault, Status.CALL_OR_TRANSACTION_DOES_NOT_EXIST if ends_the_call else Status.NOT_ACCEPTABLE_HERE
        )

    def keep_offer(self, sent: SentBranch) -> None:
        """Remember how the media of an INVITE are protected, before its body is dropped: a fork may answer once more.

        Other policies than `encrypted` do not compare an answer with its offer.
        """
        proxied = sent.proxied
        if self._policy(proxied, sent) is MediaPolicy.ENCRYPTED:
            _offer_of(proxied).read()

    def _policy(self, proxied: ProxiedRequest, sent: SentBranch) -> MediaPolicy:
        partner, context = _partner_of(proxied.flow) or _partner_of(sent.flow), proxied.context
        target = context.branches[sent.number].target if context is not None else None
        return self._policy_towards(target, proxied.request, proxied.identity, partner)

    def _policy_towards(
        self, target: Target | None, request: Request, identity: str | None, partner: str | None
    ) -> MediaPolicy:
        """Give the policy for a request to *target*, and for its responses.

        Inside the dialog of a caller who hides, To does not say who that is. The server with the link of this user knows, and an
        edge knows the partner. So another front end and an edge judge the request instead of this server.
        """
        if partner is not None or request.to.tag is None or not is_anonymous(request.to):
            return self._current.value.media.policy(request, identity, partner)
        if isinstance(target, FlowTarget):
            return self._current.value.media.policy(request, identity, None, self._flow_table.user_at(target))
        trusted = self._current.value.view.trusted
        peer = trusted.get(server_of(target, _first_name(target))) if target is not None else None
        is_judged_there = peer is not None and peer.role in JUDGES
        return MediaPolicy.ANY if is_judged_there else self._current.value.media.policy(request, identity, None)

    def _answer(self, fault: MediaFault, status: int) -> Answer:
        return Answer(status, headers=fault.headers(self._current.value.view.name), code=fault.code, why=fault.why)


def _offer_of(proxied: ProxiedRequest) -> Offer:
    """Give the offer of a request, one for all of its answers."""
    if proxied.offer is None:
        proxied.offer = Offer(proxied.request)
    return proxied.offer


def _partner_of(flow: Flow) -> str | None:
    """Give the name of the partner that *flow* leads to, or None."""
    sender = flow.sender
    return sender.peer.name if isinstance(sender, ServerSender) and sender.kind is LinkKind.PARTNER else None


def _first_name(target: Target) -> str:
    return target.names[0] if isinstance(target, ServerTarget) else ""


def _partner_in(outcome: Forward) -> str | None:
    """Give the name of the partner that a request goes to, or None."""
    target = outcome.targets[0] if outcome.targets else None
    if isinstance(target, ServerTarget) and target.kind is LinkKind.PARTNER:
        return target.names[0]
    return None
