"""Requests that this server sends itself, such as MESSAGE and NOTIFY: their transactions as a client (RFC 3261 17.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.border import ON_THE_WAY_OUT
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.privacy import hide_fields, hides_sender
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.proxy.forwarding import assert_identity, hides_history, identity_for, route_to
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.sip.framing import is_too_long
from sipmesh.sip.status import FIRST_FINAL, Status
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.sip.message import Request, Response

NO_ANSWER: Final = 0
"""The status of a request that was not sent, or whose link has closed."""


Done = Callable[[int], None]
Heard = Callable[["Response"], None]


class OwnRequest:
    """One request that was sent on *flow*, and waits for its final response."""

    __slots__ = ("branch", "done", "flow", "heard", "method")

    def __init__(self, flow: Flow, branch: str, method: str, done: Done, heard: Heard | None) -> None:
        self.flow, self.branch, self.method, self.done, self.heard = flow, branch, method, done, heard


class OwnRequests:
    """The requests of our own that wait for a final response; *clock* gives seconds of the loop."""

    def __init__(
        self,
        server: str,
        clock: Callable[[], float],
        flow_table: FlowTable,
        branches: Branches,
        listeners: dict[str, ListenerAddress],
        current: Current,
    ) -> None:
        self._server, self._clock, self._flow_table, self._branches = server, clock, flow_table, branches
        self._listeners, self._current = listeners, current
        self._waiting: dict[Flow, dict[str, OwnRequest]] = {}
        self._due: TimeoutQueue[OwnRequest] = TimeoutQueue(Timer.F.seconds)

    def __len__(self) -> int:
        return len(self._due)

    @property
    def wait_on_servers(self) -> bool:
        """Whether a request waits for the response of a server, or for the link to it."""
        return any(flow.link.kind is not LinkKind.CLIENT for flow in self._waiting)

    def send_to(self, row: Binding, request: Request, identity: str | None, done: Done) -> None:
        """Send a request to the phone of *row*, on a link of this server or by the server of the pool that has the link.

        *done* gets the status of the final response or `NO_ANSWER`, 408 if no final response comes on a link that is still up,
        and 513 if the header is longer than what we send: no later attempt would succeed. *identity* is asserted as
        far as the link may carry it.
        """
        if row.host == self._server:
            target: FlowTarget | RemoteFlowTarget = FlowTarget(row.flow, owner_hash(row.aor), request.uri)
        else:
            target = RemoteFlowTarget(row, request.uri)
            request.prepend("route", route_to(row.token, row.host, sips=False))
        flow = self._flow_table.find(Start(0, target))
        if flow is None:
            done(NO_ANSWER)
        else:
            self.send_as(flow, request, identity, done)

    def send_as(self, flow: Flow, request: Request, identity: str | None, done: Done) -> None:
        """Send a request on *flow*; *identity* is asserted as far as its link may carry it. *done* is as with `send_to`."""
        assert_identity(request, identity_for(identity, flow.link.kind, request))
        if flow.link.kind is LinkKind.CLIENT and hides_sender(request):
            hide_fields(request)
        self.send(flow, request, done)

    def send(
        self,
        flow: Flow,
        request: Request,
        done: Done,
        heard: Heard | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """Send a request without a Via on *flow*; *done* gets its status, as with `send_to`.

        *heard* gets the final response before that, if one comes. *credentials* are a field of ours, for this peer alone.
        """
        link = flow.link
        if flow.path:
            request.prepend("route", flow.path)
        branch = self._branches.mint("own")
        request.prepend("via", f"{self._listeners[link.port].via}{branch}")
        if request.present & ON_THE_WAY_OUT:
            domains = self._flow_table.domains_of(flow)
            self._current.value.border.release(request, link.kind, domains, private=hides_history(request))
        if credentials is not None:
            request.append(*credentials)
        data = request.encode()
        if is_too_long(request, len(data)):
            done(Status.MESSAGE_TOO_LARGE)
            return
        if not link.usable or not link.has_room(len(data)):
            done(NO_ANSWER)
            return
        sent = OwnRequest(flow, branch, request.method, done, heard)
        self._waiting.setdefault(flow.carrier or flow, {})[branch] = sent
        self._due.add(sent, self._clock())
        link.send(data)

    def responded(self, flow: Flow, response: Response) -> bool:
        """Take a response to a request of our own; False if it is to none. It counts on the link of its request only."""
        waiting = self._waiting.get(flow) if self._waiting else None
        sent = waiting.get(response.top_via.branch or "") if waiting is not None else None
        if sent is None or sent.method != response.cseq.method:
            return False
        if response.status >= FIRST_FINAL:
            self._forget(sent)
            if sent.heard is not None:
                sent.heard(response)
            sent.done(response.status)
        return True

    def link_down(self, flow: Flow) -> None:
        """End the requests that were sent on a link that has closed."""
        for sent in list(self._waiting.get(flow, {}).values()):
            self._forget(sent)
            sent.done(NO_ANSWER)

    def flow_ended(self, flow: Flow) -> None:
        """End the requests that were sent on a carried *flow*; the link that carries it stays."""
        for sent in list(self._waiting.get(flow.carrier or flow, {}).values()):
            if sent.flow is flow:
                self._forget(sent)
                sent.done(NO_ANSWER)

    def sweep(self) -> None:
        """End the requests whose time is over (timer F)."""
        now = self._clock()
        while (own := self._due.pop_expired(now)) is not None:
            self._timed_out(own)

    def _timed_out(self, sent: OwnRequest) -> None:
        self._forget(sent)
        sent.done(Status.REQUEST_TIMEOUT)

    def _forget(self, sent: OwnRequest) -> None:
        self._due.discard(sent)
        by = sent.flow.carrier or sent.flow
        waiting = self._waiting.get(by, {})
        waiting.pop(sent.branch, None)
        if not waiting:
            self._waiting.pop(by, None)
