"""Receives all events of a server's links: checks and decides about messages, and passes the rest on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sipmesh.errors import LocalError, RemoteError, SipmeshError
from sipmesh.server.proxy.flow import Flow, ReceivedRequest
from sipmesh.sip.check import check_request, check_response
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.ack import reasons_of
from sipmesh.sip.transaction.key import cancelled_key, server_key
from sipmesh.transport.link.events import LinkEvents
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.links.link_lifecycle import LinkLifecycle
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.proxy.proxy_core import ProxyCore
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.proxy.repeated_refresh import RefreshGate
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.framing import FramingError
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict


class Dispatch(LinkEvents):
    """Receives the events of all links of one server; messages are decided about only here."""

    def __init__(
        self,
        *,
        flow_table: FlowTable,
        links: LinkLifecycle,
        core: ProxyCore,
        relay: Relay,
        events: EventServer,
        refresh_gate: RefreshGate,
        outside: Outside,
        siblings: OtherProcesses,
        log: LimitedLog,
    ) -> None:
        self._flow_table, self.links, self.core, self._relay = flow_table, links, core, relay
        self._events, self._refresh_gate, self._outside = events, refresh_gate, outside
        self._siblings, self._log = siblings, log
        self._admission, self._overload = core.state.admission, core.state.admission.overload

    # Links

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """See :class:`LinkLifecycle`."""
        return self.links.judge(link, evidence)

    def link_up(self, link: Link) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.link_up(link)

    def refused(self, verdict: Verdict) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.refused(verdict)

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.upgrade_refused(link, refusal)

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.link_down(link, why, verdict)

    # Messages

    def faulty(self, link: Link, fault: FramingError) -> bytes | None:
        """Return the answer to a stream that cannot be framed, None if none is possible; the link closes after it."""
        who = self._flow_table.flow(link).account.name
        self._log.warning(who, "unframeable", link=link.id, remote=link.remote[0], why=str(fault))
        if fault.request is None:
            return None
        try:
            return respond(fault.request, fault.status).encode()
        except RemoteError:
            return None

    def arrived(self, link: Link, message: Request | Response) -> None:
        """Handle one message; errors of the message are handled here, not raised."""
        flow = self._flow_table.flow(link)
        if isinstance(message, Response):
            self._response(flow, message)
            return
        try:
            check_request(message)
            self._request(flow, message)
        except RemoteError as wrong:
            self._admission.count_stray(link, message)
            self.core.responder.refuse_malformed(flow, message, wrong)
        except SipmeshError as wrong:
            self.core.responder.refuse_failed(flow, message, wrong)
        except Exception as bug:  # noqa: BLE001 - reported, and answered with 500
            self._contain(flow, message, bug)
            self.core.responder.refuse_failed(flow, message, LocalError(f"bug in this server: {type(bug).__name__}"))

    def _contain(self, flow: Flow, message: Request | Response, bug: Exception) -> None:
        """Report a bug that *message* has met. The link stays if it carries messages of others; that of a client closes."""
        if flow.link.kind is LinkKind.CLIENT:
            raise bug
        told = {"message": f"fault while serving {message!r}", "exception": bug}
        asyncio.get_running_loop().call_exception_handler(told)

    def _response(self, flow: Flow, response: Response) -> None:
        try:
            check_response(response)
        except RemoteError as wrong:
            self._malformed(flow, response, wrong)
            return
        if self._overload.active and self._is_answered_without_end(flow, response):
            self._admission.count_stray(flow.link, response)
        try:
            if self._relay.responded(flow, response) or self._events.responded(flow, response):
                return
            if self._siblings.responded(flow, response):
                return
            self._admission.count_stray(flow.link, response)
            if flow.link.kind is LinkKind.SERVER:
                self._outside.control_plane.responded(flow.link, response)
        except SipmeshError as wrong:
            self._log.warning(flow.account.name, "response refused", link=flow.link.id, why=str(wrong))
        except Exception as bug:  # noqa: BLE001 - reported, and the sender of the request is answered at its timeout
            self._contain(flow, response, bug)

    def _is_answered_without_end(self, flow: Flow, response: Response) -> bool:
        """Tell whether a branch of this process, or of another one, has had more responses than phones send."""
        return self._siblings.is_answered_without_end(flow, response) or self._relay.is_answered_without_end(
            flow, response
        )

    def _malformed(self, flow: Flow, response: Response, wrong: RemoteError) -> None:
        """End the request of a response that breaks a rule; of a request of our own, the status counts."""
        self._admission.count_stray(flow.link, response)
        self._log.warning(flow.account.name, "response refused", link=flow.link.id, why=str(wrong))
        with suppress(SipmeshError):
            if not self._relay.malformed(flow, response):
                self._events.responded(flow, response)

    def _request(self, flow: Flow, request: Request) -> None:
        """Match a request with its transaction; ignore a retransmission of a request that is being served (RFC 3261 17.2)."""
        key = server_key(request)
        proxied = flow.served.get(key)
        if request.method == "CANCEL":
            self._cancel(flow, request)
        elif proxied is None and flow.refused and key in flow.refused:
            if request.method == "ACK":
                del flow.refused[key]
        elif proxied is None or (request.method == "ACK" and not self._relay.server_transactions.acknowledged(proxied)):
            if request.method == "ACK":
                self._admission.count_stray(flow.link, request)
            received = ReceivedRequest(flow, request, key, self.core)
            self.core.take(received, received)
            if flow.refresh is not None and request.method == "REGISTER":
                self._refresh_gate.learn(flow, request)
        else:
            self._admission.count_stray(flow.link, request)

    def _cancel(self, flow: Flow, request: Request) -> None:
        """Answer a CANCEL, and cancel the INVITE with the same branch on the same link (RFC 3261 9.2)."""
        self._admission.count_stray(flow.link, request)
        key = cancelled_key(request)
        invite = flow.served.get(key)
        status = 200 if invite is not None or key in flow.refused else 481
        flow.link.send(respond(request, status).encode())
        if invite is not None:
            self._relay.cancel(invite, reasons_of(request))
