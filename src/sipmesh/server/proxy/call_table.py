"""The calls that are up, as this server has seen them: a 2xx to an INVITE has passed, and no BYE yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.sip.message import Request


class UpCall:
    """One call: the names of both sides, the loop time of its 2xx, and the links that it began on, by number.

    *acknowledged* says that the ACK of its 2xx has passed.
    """

    __slots__ = ("acknowledged", "callee", "caller", "links", "since")

    def __init__(self, caller: str, callee: str, since: float, links: tuple[int, int]) -> None:
        self.caller, self.callee, self.since, self.links = caller, callee, since, links
        self.acknowledged = False

    def __repr__(self) -> str:
        return f"<UpCall from {self.caller} to {self.callee}>"


class CallTable:
    """Calls by Call-ID, *most* of them: then the oldest is forgotten. Routing does not ask it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: dict[str, UpCall] = {}

    def __repr__(self) -> str:
        return f"<CallTable of {len(self._calls)} calls>"

    def __len__(self) -> int:
        return len(self._calls)

    def began(self, invite: Request, came_on: Flow, went_on: Flow, now: float) -> None:
        """A 2xx to *invite* has passed, which opens a dialog; further ones of a fork change nothing."""
        if invite.call_id in self._calls:
            return
        if len(self._calls) >= self._most:
            del self._calls[next(iter(self._calls))]
        links = came_on.number, went_on.number
        self._calls[invite.call_id] = UpCall(invite.from_.uri, invite.to.uri, now, links)

    def acknowledged(self, call_id: str) -> None:
        """The ACK of a 2xx has passed."""
        call = self._calls.get(call_id)
        if call is not None:
            call.acknowledged = True

    def ended(self, call_id: str) -> None:
        """A BYE goes on."""
        self._calls.pop(call_id, None)

    def unacknowledged(self, since: float) -> set[int]:
        """Give the numbers of the links of calls whose ACK is still to come, and whose 2xx passed after *since*."""
        found: set[int] = set()
        for call in reversed(self._calls.values()):  # the newest ones first
            if call.since <= since:
                break
            if not call.acknowledged:
                found.update(call.links)
        return found

    def links(self) -> set[int]:
        """Give the numbers of the links on which the calls have begun."""
        return {number for call in self._calls.values() for number in call.links}

    def up(self) -> list[UpCall]:
        """List the calls, oldest first."""
        return list(self._calls.values())
