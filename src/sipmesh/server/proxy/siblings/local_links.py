"""The links of this process as other processes of this server use them: what they send is written, and the answers go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.reference import EARLY_REFERENCE
from sipmesh.routing.outcome import Answer
from sipmesh.server.proxy.siblings.awaited_requests import AwaitedRequests
from sipmesh.server.proxy.siblings.channel import ARRIVED, SUPERVISOR, WRITE_BYTES
from sipmesh.server.proxy.siblings.handed_requests import HandedRequests, shortened
from sipmesh.server.proxy.siblings.orphaned_invites import OrphanedInvites
from sipmesh.sip.framing import FramingError, parse_message
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import FIRST_FINAL
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.server.proxy.siblings.channel import WorkerChannel
    from sipmesh.transport.reactor.reactor import Reactor

RESPONSE: Final = b"SIP/2.0"
UNANSWERED: Final = (b"ACK ", b"CANCEL ")
"""How requests begin that have no waiting sender: an ACK has no response, and a CANCEL is about another request."""

INVITE, REFER = b"INVITE ", b"REFER "
"""How requests begin that begin a call, and that ask for one."""

NO_ROOM: Final = Answer(480)
"""A phone that does not read: its flow exists, so it is not 430."""


class LocalLinks:
    """The links of *flow_table* that this process has, and what other processes wait for on them.

    *refusals* keep what is refused in place of a phone.
    """

    def __init__(self, reactor: Reactor, flow_table: FlowTable, refusals: MessageRefusals, log: Log) -> None:
        self._reactor, self._flow_table, self._refusals, self._log = reactor, flow_table, refusals, log
        self._awaited, self._orphans, self._handed = AwaitedRequests(), OrphanedInvites(), HandedRequests()

    @property
    def _now(self) -> float:
        return self._reactor.loop.time()

    def write(self, channel: WorkerChannel, number: int, data: bytes) -> None:
        """Write what another process sends on a link of ours; where it may not go there, answer in place of the phone.

        Another process does not know all calls that ring on the link.
        """
        flow = self.flow(number)
        if flow is None:
            return
        is_request = not data.startswith(RESPONSE)
        if is_request and not flow.link.has_room(len(data)):
            self._bounce(channel, flow, data, NO_ROOM)
            return
        carrier = flow.carrier or flow  # its responses come on that link
        if data.startswith(REFER) and self._is_early(carrier, data):
            self._bounce(channel, flow, data, EARLY_REFERENCE)
            return
        if not is_request and self._handed.has(number):
            self._note_answer(number, data)
        if flow.link.send(data) and is_request and not data.startswith(UNANSWERED):
            self._awaited.sent(carrier.number, data, self._now, self._new_call(data))

    def _note_answer(self, number: int, data: bytes) -> None:
        response = self.parsed(data)
        if isinstance(response, Response):
            self._handed.answered(number, response)

    def _bounce(self, channel: WorkerChannel, flow: Flow, data: bytes, answer: Answer) -> None:
        """Answer a request in place of the phone; a refusal carries a Warning with a reference to our log."""
        request = self.parsed(data)
        if isinstance(request, Request) and request.method != "ACK":
            warned = () if answer.code is None else (("Warning", self._refusals.record(flow, request, answer)),)
            channel.send(ARRIVED, flow.number, respond(request, answer.status, headers=warned).encode())

    def _is_early(self, carrier: Flow, data: bytes) -> bool:
        request = self.parsed(data)
        return request is None or self.rings(carrier, request.call_id)

    def _new_call(self, data: bytes) -> Request | None:
        """Return a request that begins a call, None for all else."""
        request = self.parsed(data) if data.startswith(INVITE) else None
        return request if isinstance(request, Request) and request.to.tag is None else None

    def flow(self, number: int) -> Flow | None:
        """Return the flow of a link that this process has."""
        flow = self._flow_table.by_number(number)
        return flow if flow is not None and flow.link.is_here else None

    def handed(self, process: int, number: int, request: Request) -> None:
        """Another process serves a *request* of the link *number*."""
        self._handed.handed(process, number, request)

    def responded(self, flow: Flow, response: Response, channel: WorkerChannel) -> bool:
        """Hand on a response to the process whose branch it answers; False if that process gets none of this sender.

        A phone may send any number of responses, with any branch. A response that is not awaited has no place of
        others, and none from a client reaches the supervisor. An awaited final response is replaced by a 503 if too
        much waits for that process.
        """
        branch = response.top_via.branch or ""
        is_extra = self._awaited.is_answered_without_end(flow.number, branch)
        if is_extra and channel.number == SUPERVISOR and flow.link.kind is not LinkKind.SERVER:
            return False
        self._awaited.responded(flow.number, branch, response.status, self._now)
        data = response.encode()
        if channel.has_room(len(data)):
            if not is_extra or channel.pending <= WRITE_BYTES:
                channel.send(ARRIVED, flow.number, data)
        elif not is_extra and response.status >= FIRST_FINAL:
            data = shortened(response).encode()
            if channel.has_reserve(len(data)):
                channel.send(ARRIVED, flow.number, data)
        return True

    def ends_orphan(self, flow: Flow, response: Response) -> bool:
        """End the call of a process that has ended; False if *response* is not of such a call."""
        follows = self._orphans.responded(flow.number, response) if len(self._orphans) else None
        for request in follows or ():
            flow.link.send(request.encode())
        return follows is not None

    def is_answered_without_end(self, number: int, branch: str) -> bool:
        """Tell whether *branch* has had more responses on the link *number* than phones send."""
        return self._awaited.is_answered_without_end(number, branch)

    def is_awaited(self, number: int) -> bool:
        """Tell whether a request of another process waits for its response on the link *number*."""
        return self._awaited.is_awaited(number, self._now)

    def rings(self, flow: Flow, call_id: str) -> bool:
        """Tell whether the INVITE of a new call waits on the link of *flow*, also one of another process."""
        return flow.rings(call_id) or self._awaited.rings(flow.number, call_id, self._now)

    def link_closed(self, number: int) -> None:
        """The link *number* is gone."""
        self._awaited.link_closed(number)
        self._handed.link_closed(number)
        self._orphans.link_closed(number)

    def process_ended(self, channel: WorkerChannel, branches: list[str]) -> None:
        """Answer what the process of *channel* owes, and stop the phones that ring for it; its branches begin so."""
        for number, answer in self._handed.process_ended(channel.number):
            self.write(channel, number, answer)
        for branch in branches:
            for number, invite, rings in self._awaited.process_ended(branch):
                self._cancel(number, invite, rings=rings)

    def _cancel(self, number: int, invite: Request, *, rings: bool) -> None:
        flow = self.flow(number)
        if flow is not None:
            for request in self._orphans.add(number, invite, self._now, rings=rings):
                flow.link.send(request.encode())

    def parsed(self, data: bytes) -> Request | Response | None:
        """Read a message that another process has read already, so that its limits hold."""
        try:
            return parse_message(data, self._reactor.limits.reading(LinkKind.SERVER))
        except FramingError as wrong:
            self._log.error("a message from another process cannot be read", why=str(wrong))
            return None
