"""The requests of other processes that were written on links of this process and have no final response yet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sipmesh.routing.proxy.branch import prefix_of
from sipmesh.routing.proxy.release import without_body
from sipmesh.routing.proxy.ringing_calls import RingingCalls
from sipmesh.server.proxy.flow import MOST_RESPONSES
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.sip.status import FIRST_FINAL
from sipmesh.sip.transaction.timers import Timer

if TYPE_CHECKING:
    from sipmesh.sip.message import Request


_BRANCH = re.compile(rb"\r\n[Vv]ia: [^\r\n]*?;branch=([^;,\r\n]+)")
"""The branch of the first Via, as every process of this server writes it."""

_INVITE = b"INVITE "

_Request = tuple[int, str]


class AwaitedRequests:
    """Requests by the number of their link and by their branch; each *now* is in seconds of the loop.

    A request without a final response ends with its transaction: after timer C for an INVITE, else after timer F (RFC 3261
    table 4). It also ends with its link, or with the process that has sent it.
    """

    __slots__ = ("_calls", "_invites", "_of_link", "_others", "_ringing")

    def __init__(self) -> None:
        self._of_link: dict[int, dict[str, int]] = {}  # how many responses each branch has had
        self._calls: dict[_Request, Request] = {}
        self._ringing: dict[int, RingingCalls] = {}
        self._invites: TimeoutQueue[_Request] = TimeoutQueue(Timer.C.seconds)
        self._others: TimeoutQueue[_Request] = TimeoutQueue(Timer.F.seconds)

    def __len__(self) -> int:
        return len(self._invites) + len(self._others)

    def sent(self, number: int, data: bytes, now: float, invite: Request | None = None) -> None:
        """A request with the octets *data* was written on the link *number*; *invite* is the same request if it begins a call."""
        self._expire(now)
        found = _BRANCH.search(data)
        if found is None:
            return
        branch = found[1].decode("ascii", "replace")
        self._of_link.setdefault(number, {})[branch] = 0
        (self._invites if data.startswith(_INVITE) else self._others).add((number, branch), now)
        if invite is not None:
            self._calls[number, branch] = without_body(invite)
            self._ringing.setdefault(number, RingingCalls()).add(invite.call_id)

    def rings(self, number: int, call_id: str, now: float) -> bool:
        """Tell whether the INVITE of a new call waits for its final response on the link *number*."""
        self._expire(now)
        return number in self._ringing and call_id in self._ringing[number]

    def responded(self, number: int, branch: str, status: int, now: float) -> None:
        """A response to *branch* has come on the link *number*: a final one ends the wait, another one starts timer C again."""
        branches = self._of_link.get(number)
        if branches is not None and branch in branches:
            branches[branch] += 1
        if status >= FIRST_FINAL:
            self._end((number, branch))
        elif (number, branch) in self._invites:
            self._invites.add((number, branch), now)

    def is_answered_without_end(self, number: int, branch: str) -> bool:
        """Tell whether *branch* has had more responses than phones send, or needs none: each costs as much as a request."""
        branches = self._of_link.get(number)
        return branches is None or branches.get(branch, MOST_RESPONSES) >= MOST_RESPONSES

    def link_closed(self, number: int) -> None:
        """The link *number* is gone."""
        for branch in tuple(self._of_link.get(number, ())):
            self._end((number, branch))

    def process_ended(self, prefix: str) -> list[tuple[int, Request, bool]]:
        """The process whose branches begin with *prefix* is gone.

        Return the INVITEs of its new calls, each with the number of its link, and with whether it was answered by a 1xx.
        """
        ended = [
            (number, branch, count)
            for number, branches in self._of_link.items()
            for branch, count in branches.items()
            if prefix_of(branch) == prefix
        ]
        left = [
            (number, invite, count > 0)
            for number, branch, count in ended
            if (invite := self._calls.get((number, branch))) is not None
        ]
        for number, branch, _ in ended:
            self._end((number, branch))
        return left

    def is_awaited(self, number: int, now: float) -> bool:
        """Tell whether a request on the link *number* waits for its final response."""
        self._expire(now)
        return number in self._of_link

    def _expire(self, now: float) -> None:
        for queue in (self._invites, self._others):
            while (request := queue.pop_expired(now)) is not None:
                self._end(request)

    def _end(self, request: _Request) -> None:
        number, branch = request
        self._invites.discard(request)
        self._others.discard(request)
        self._rings_no_more(request)
        branches = self._of_link.get(number)
        if branches is not None:
            branches.pop(branch, None)
            if not branches:
                del self._of_link[number]

    def _rings_no_more(self, request: _Request) -> None:
        number, invite = request[0], self._calls.pop(request, None)
        if invite is not None:
            self._ringing[number].remove(invite.call_id)
            if not self._ringing[number]:
                del self._ringing[number]
