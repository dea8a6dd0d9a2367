"""The INVITEs that another process has sent on links of this process, and that ring when that process ends.

The link of their caller has ended with it, and no other process would stop the phone of the callee.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.proxy.release import ack_in_place_of_caller, bye_in_place_of_caller
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.timers import Timer

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response

GONE: Final = 'SIP;cause=480;text="The link of the caller is gone"'

_Key = tuple[int, str]


class OrphanedInvites:
    """INVITEs of new calls, by the number of their link and by their branch; each *now* is in seconds of the loop.

    What each method returns is to be sent on that link. An INVITE is forgotten with its final response, after timer C, or with
    its link.
    """

    __slots__ = ("_invites", "_ringing", "_until")

    def __init__(self) -> None:
        self._invites: dict[_Key, Request] = {}
        self._ringing: set[_Key] = set()  # those that were cancelled
        self._until: TimeoutQueue[_Key] = TimeoutQueue(Timer.C.seconds)

    def __len__(self) -> int:
        return len(self._invites)

    def add(self, number: int, invite: Request, now: float, *, rings: bool) -> list[Request]:
        """Cancel *invite* on the link *number*; before a provisional response that is too early (RFC 3261 9.1)."""
        self._expire(now)
        key = number, invite.top_via.branch or ""
        self._invites[key] = invite
        self._until.add(key, now)
        return self._cancelled(key) if rings else []

    def responded(self, number: int, response: Response) -> list[Request] | None:
        """Return what follows a *response* on the link *number*; None if it answers no such INVITE."""
        key = number, response.top_via.branch or ""
        invite = self._invites.get(key)
        if invite is None:
            return None
        if response.cseq.method != invite.method:
            return []
        if response.status < FIRST_FINAL:
            return self._cancelled(key)
        self._forget(key)
        return ended(invite, response)

    def link_closed(self, number: int) -> None:
        """The link *number* is gone."""
        for key in [key for key in self._invites if key[0] == number]:
            self._forget(key)

    def _cancelled(self, key: _Key) -> list[Request]:
        if key in self._ringing:
            return []
        self._ringing.add(key)
        return [cancel_for(self._invites[key], (GONE,))]

    def _expire(self, now: float) -> None:
        while (key := self._until.pop_expired(now)) is not None:
            self._forget(key)

    def _forget(self, key: _Key) -> None:
        self._until.discard(key)
        self._ringing.discard(key)
        self._invites.pop(key, None)


def ended(invite: Request, response: Response) -> list[Request]:
    """Return what ends a call whose *invite* got this final *response*: the ACK, and a BYE if the callee has accepted."""
    if response.status >= FIRST_REDIRECTION:
        return [ack_for(invite, response)]
    ours = {NameAddr.parse(item).sip_uri.user or "" for item in invite.items("record-route")}
    ack = ack_in_place_of_caller(invite, response, ours)
    return [_via(ack, invite), _via(bye_in_place_of_caller(invite, response, ours, GONE), invite)]


def _via(request: Request, invite: Request) -> Request:
    """Add a Via as that of *invite*, with a branch of its own."""
    via, branch = invite.items("via")[0], invite.top_via.branch or ""
    request.prepend("via", via.replace(branch, f"{branch}{request.method}", 1))
    return request
