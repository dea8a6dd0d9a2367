"""Makes a response fit to be forwarded: what its sender may say, and what is hidden from its receiver (RFC 3261 16.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.realm import CHALLENGED
from sipmesh.routing.identity.response_policy import settle, settle_registration
from sipmesh.server.proxy.records.carried_by import say_trunk
from sipmesh.sip.rows import RECORD_ROUTE
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.branch_sender import BranchSender
    from sipmesh.server.proxy.calls.established_calls import EstablishedCalls
    from sipmesh.server.proxy.flow import SentBranch
    from sipmesh.server.proxy.login.access_proxy import AccessProxy
    from sipmesh.server.proxy.transactions.answerers import Answerers
    from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
    from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
    from sipmesh.server.proxy.trunks.trunk_logins import TrunkLogins
    from sipmesh.sip.message import Response


class ResponseAdmission:
    """Admits the responses that match a branch. *trunk_logins* answers the challenges of trunks."""

    def __init__(
        self,
        current: Current,
        access: AccessProxy,
        requests: BranchRequests,
        privacy: PrivacyService,
        answerers: Answerers,
        sender: BranchSender,
        trunk_logins: TrunkLogins,
        calls: EstablishedCalls,
    ) -> None:
        self._current, self._access, self._requests = current, access, requests
        self._privacy, self._answerers, self._sender = privacy, answerers, sender
        self._trunk_logins, self._calls = trunk_logins, calls

    def admit(self, sent: SentBranch, response: Response) -> None:
        """Make *response* fit to be forwarded. Raises `RemoteError` if that is not possible."""
        if not response.has_lower_via and sent.request.has_lower_via:
            raise RemoteError("a response without the Vias of its request", rule="RFC 3261 section 8.2.6.2")
        flow = sent.flow  # a carried flow shares the branches of the link by which it is reached
        if flow.sender is None:
            raise RemoteError("a response on a link without a sender", rule="R12")
        response.pop_via()
        in_force, is_challenge = self._current.value, False
        if sent.request.method == "REGISTER":
            settle_registration(response, sent.proxied.request)
            self._access.answered(sent, response)
        else:
            is_challenge = in_force.trunk_names is not None and self._takes_challenge(sent, response)
            context = sent.proxied.context
            screens = context is not None and context.screening is not None
            settle(response, sent.proxied.request, flow.sender, in_force.border, in_force.view.name, screens=screens)
        if flow.link.kind is LinkKind.CLIENT and not sent.is_carried:
            self._privacy.hide_answer(sent, response)
        self._answerers.name_in(sent, response)
        if in_force.trunk_names is not None:
            self._requests.hide_answerer(sent, response)
            if not is_challenge:
                self._sender.trunk_answered(sent, response)
            if response.status >= FIRST_FINAL:
                self._calls.answered(sent, response.status)
        if response.status >= FIRST_FINAL and self._calls.records.is_on:
            trunk = self._calls.trunks.trunk_of(flow) if in_force.trunk_names is not None else ""
            say_trunk(response, flow.sender, trunk, in_force.view.name)
        if response.present & RECORD_ROUTE and response.status < FIRST_REDIRECTION:  # only these create a dialog
            self._requests.bind_answer(sent, response)

    def _takes_challenge(self, sent: SentBranch, response: Response) -> bool:
        """Take the challenge of a trunk out of *response*; tell whether there was one."""
        trunk = self._calls.trunks.trunk_of(sent.flow) if response.status in CHALLENGED else ""
        if trunk:
            self._trunk_logins.challenged(sent, response, trunk)
        return bool(trunk)
