"""Requests and responses that wait for rtpengine: each branch goes on in the order of its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.rtpengine.bridge import put_description
from sipmesh.server.proxy.rtpengine.control_socket import AwaitedReply
from sipmesh.sip.status import FIRST_REDIRECTION

if TYPE_CHECKING:
    from sipmesh.routing.proxy.effects import Start
    from sipmesh.server.proxy.bridging.bridges import Bridges
    from sipmesh.server.proxy.flow import ProxiedRequest, SentBranch
    from sipmesh.server.proxy.rtpengine.bridge import Bridge
    from sipmesh.server.proxy.rtpengine.control_socket import Fault
    from sipmesh.sip.message import Response
    from sipmesh.transport.link.link import Link

MOST_HELD: Final = 16
"""Responses of one branch that wait. A further one takes the place of the last one: of those, only the newest is of use."""


class BridgedBranches:
    """What sends branches and passes responses on, once rtpengine has answered."""

    def offered(
        self,
        proxied: ProxiedRequest,
        start: Start,
        came_on: Link | None,
        bridge: Bridge,
        sdp: bytes,
        wrong: Fault | None,
    ) -> None:
        """Send a branch whose offer rtpengine has made, or go on without it: that is *wrong*."""
        raise NotImplementedError

    def answered(self, sent: SentBranch, response: Response, fault: Fault | None) -> None:
        """Go on with a response whose answer has passed rtpengine, or has not: that is the *fault*."""
        raise NotImplementedError


class HeldOffer(AwaitedReply):
    """A branch that is sent once rtpengine has made its offer."""

    def __init__(
        self, relay: BridgedBranches, proxied: ProxiedRequest, start: Start, came_on: Link | None, bridge: Bridge
    ) -> None:
        self._relay, self._proxied, self._start = relay, proxied, start
        self._came_on, self._bridge = came_on, bridge

    def replied(self, sdp: bytes, fault: Fault | None) -> None:
        """See `AwaitedReply`."""
        self._relay.offered(self._proxied, self._start, self._came_on, self._bridge, sdp, fault)


class HeldResponses(AwaitedReply):
    """The responses of one branch, from the first response that waits for rtpengine."""

    def __init__(self, relay: BridgedBranches, bridges: Bridges, sent: SentBranch, table: HeldTable) -> None:
        self._relay, self._bridges, self._sent, self._table = relay, bridges, sent, table
        self._responses: list[Response] = []

    def add(self, response: Response) -> bool:
        """Hold *response*, if it has an answer, or follows a response that is held. Tells whether it is held."""
        if not self._responses and not _has_answer(response):
            self._free(response)
            return False
        if len(self._responses) >= MOST_HELD:
            self._responses[-1] = response
            return True
        self._responses.append(response)
        self._table.of_branches[self._sent] = self
        if len(self._responses) == 1:
            self._ask(response)
        return True

    def replied(self, sdp: bytes, fault: Fault | None) -> None:
        """See `AwaitedReply`. Each response goes on as it would have without rtpengine."""
        self._go_on(self._responses[0], sdp, fault)
        del self._responses[0]
        while self._responses and not _has_answer(self._responses[0]):
            self._go_on(self._responses[0], b"", None)
            del self._responses[0]
        if self._responses:
            self._ask(self._responses[0])
        else:
            self._table.of_branches.pop(self._sent, None)

    def _free(self, response: Response) -> None:
        """With the final refusal of the branch, its ports in rtpengine are free."""
        if response.status >= FIRST_REDIRECTION and self._sent.bridge is not None:
            self._sent.bridge.branch_ended()

    def _ask(self, response: Response) -> None:
        bridge = self._sent.bridge
        if bridge is not None:
            self._bridges.answer(bridge, self._sent, response, self)

    def _go_on(self, response: Response, sdp: bytes, fault: Fault | None) -> None:
        if self._sent.branch not in self._sent.flow.sent:
            return
        if sdp:
            put_description(response, sdp)
            self._bridges.tell(self._sent, response)
        self._free(response)
        self._relay.answered(self._sent, response, fault)


class HeldTable:
    """The responses that are held, by their branches."""

    def __init__(self, relay: BridgedBranches, bridges: Bridges) -> None:
        self._relay, self._bridges = relay, bridges
        self.of_branches: dict[SentBranch, HeldResponses] = {}

    def holds(self, sent: SentBranch, response: Response) -> bool:
        """Hold a response of a bridged branch, if it has to wait; tell whether it does, or has gone on from here."""
        held = self.of_branches.get(sent)
        if held is None:
            held = HeldResponses(self._relay, self._bridges, sent, self)
        return held.add(response)


def _has_answer(response: Response) -> bool:
    return response.body != b"" and response.status < FIRST_REDIRECTION
