"""Sends the branches of requests: each on the link of its target, if that can be used and has room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.proxy.branch_kinds import has_other_trunks
from sipmesh.routing.proxy.own_responses import lost_status
from sipmesh.routing.target import ServerTarget, is_carried, server_of
from sipmesh.server.proxy.rtpengine.bridge import put_description
from sipmesh.sip.framing import is_too_long
from sipmesh.sip.status import FIRST_REDIRECTION, FLOW_FAILED, TRYING, Status
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.proxy.effects import Start
    from sipmesh.server.proxy.flow import ProxiedRequest, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.liveness.trunk_outages import TrunkOutages
    from sipmesh.server.proxy.rtpengine.bridge import Bridge
    from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
    from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
    from sipmesh.server.proxy.trunks.trunk_logins import TrunkLogins
    from sipmesh.sip.message import Response
    from sipmesh.transport.link.link import Link

SENT: Final = 0
LOST: Final = -1
"""What has become of a branch: it was sent, or its target cannot be reached. Other values are the status that it gets."""

OF_THE_NUMBER: Final = frozenset({404, 410, 480, 484, 485, 486, 487, 600, 603, 604})
"""Responses of a trunk that works: they speak of the number that is called."""


class BranchSender:
    """Finds the link of each branch, makes its request, and opens its client transaction."""

    def __init__(
        self,
        flow_table: FlowTable,
        requests: BranchRequests,
        transactions: ClientTransactions,
        outages: Outages,
        trunk_outages: TrunkOutages,
        trunk_logins: TrunkLogins,
    ) -> None:
        self._flow_table, self._requests, self._transactions = flow_table, requests, transactions
        self._outages, self._trunk_outages, self._trunk_logins = outages, trunk_outages, trunk_logins

    def send(
        self,
        proxied: ProxiedRequest,
        start: Start,
        came_on: Link | None,
        bridge: Bridge | None = None,
        sdp: bytes = b"",
    ) -> int:
        """Send one branch of a request; gives `SENT`, `LOST` or a status. *came_on* is the link of the response before it.

        If its media pass rtpengine by *bridge*, it has the session description *sdp*.
        """
        if start.number and self._is_next_trunk(proxied, start) and isinstance(start.target, ServerTarget):
            self._trunk_outages.failed(start.target.names[start.target.names.index(start.name) - 1])
        if self._outages.names and self._is_forbidden(proxied, start):
            return LOST
        flow = self._flow_table.find(start, came_on)
        if flow is None or not flow.link.usable:
            return LOST
        branch = self._requests.branches.mint(proxied.received.loop)
        try:
            copy = self._requests.make(proxied, start, flow, branch)
            if bridge is not None:
                put_description(copy, sdp)
        except RemoteError:  # the request was checked when it arrived
            return LOST
        data = copy.encode()
        size = len(data)
        if is_too_long(copy, size):
            return Status.MESSAGE_TOO_LARGE
        if not flow.link.has_room(size):
            return _without_room(start, flow.link, size)
        carried = is_carried(start.target)
        self._transactions.send(proxied, start.number, branch, flow, copy, data, is_carried=carried, bridge=bridge)
        return SENT

    def trunk_answered(self, sent: SentBranch, response: Response) -> None:
        """See whether a trunk carries calls: a call rings there, or was answered; or a new call was refused.

        *response* is no challenge of the trunk: `TrunkLogins` has those.
        """
        if response.status == TRYING or sent.flow.link.kind is not LinkKind.PARTNER:
            return
        trunk = min(self._flow_table.domains_of(sent.flow))
        is_new_call = sent.request.method == "INVITE" and sent.request.to.tag is None
        if response.status < FIRST_REDIRECTION:
            self._trunk_outages.answered(trunk, is_new_call=is_new_call)
            if is_new_call:
                self._trunk_logins.rang(trunk)
        elif is_new_call and response.status not in OF_THE_NUMBER:
            caller = sent.proxied.identity or str(sent.proxied.request.from_.uri)
            self._trunk_outages.refused(trunk, response.status, caller)

    def _is_next_trunk(self, proxied: ProxiedRequest, start: Start) -> bool:
        """Tell whether a branch goes to the next trunk, because the trunk before it has failed."""
        context = proxied.context
        return has_other_trunks(start.target) and context is not None and not context.branches[start.number].authorized

    def _is_forbidden(self, proxied: ProxiedRequest, start: Start) -> bool:
        """Tell whether a branch may not go to its server, which does not answer at the moment (RFC 3263 section 4.3)."""
        context = proxied.context
        has_others = context is not None and bool(context.branches[start.number].ways)
        return self._outages.forbids(server_of(start.target, start.name), has_others=has_others)


def _without_room(start: Start, link: Link, size: int) -> int:
    """Give 413 if *link* can never have room; otherwise the branch is like one whose target is unreachable.

    A flow target gets 480 instead of 430: the flow exists, and 430 would remove its binding.
    """
    if not link.can_hold(size):
        return Status.REQUEST_ENTITY_TOO_LARGE
    return Status.TEMPORARILY_UNAVAILABLE if lost_status(start.target) == FLOW_FAILED else LOST
