"""The calls that are up, as this server has seen them: a 2xx to an INVITE has passed, and no BYE yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.budget import Budget
from sipmesh.sip.kept import short_key

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request

LONGEST_NAME: Final = 256
"""Characters of each name of a call that are kept: a call may stay for days, and its names may be as long as a URI."""


class UpCall:
    """One call: the names of both sides, the loop time of its 2xx, and the links that it began on, by number.

    *principal* is the key of the account of its caller. *acknowledged* says that the ACK of its 2xx has passed.
    """

    __slots__ = ("acknowledged", "callee", "caller", "links", "principal", "since")

    def __init__(self, invite: Request, since: float, links: tuple[int, int], principal: str) -> None:
        self.caller, self.callee = invite.from_.uri[:LONGEST_NAME], invite.to.uri[:LONGEST_NAME]
        self.since, self.links, self.principal = since, links, principal
        self.acknowledged = False

    def __repr__(self) -> str:
        return f"<UpCall from {self.caller} to {self.callee}>"


class CallTable:
    """Calls by Call-ID, *most* of them: then the oldest is forgotten. Routing does not ask it.

    A principal has as many calls here as it may have branches; then its own oldest call is forgotten. So nobody makes the
    server forget the calls of all others.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: dict[str, UpCall] = {}
        self._of_principals: Budget[str] = Budget(most, most)

    def __repr__(self) -> str:
        return f"<CallTable of {len(self._calls)} calls>"

    def __len__(self) -> int:
        return len(self._calls)

    def began(self, invite: Request, came_on: Flow, went_on: Flow, account: Usage, now: float) -> None:
        """A 2xx to *invite* has passed, which opens a dialog; further ones of a fork change nothing.

        *account* is that of the caller.
        """
        key, principal = short_key(invite.call_id), short_key(account.name)
        if key in self._calls:
            return
        self._make_room(principal, account.most_branches)
        self._of_principals.add(principal, key)
        self._calls[key] = UpCall(invite, now, (came_on.number, went_on.number), principal)

    def _make_room(self, principal: str, most: int) -> None:
        oldest = self._of_principals.oldest(principal)
        if oldest is not None and self._of_principals.count(principal) >= most:
            self._forget(oldest)
        elif len(self._calls) >= self._most:
            self._forget(next(iter(self._calls)))

    def _forget(self, key: str) -> None:
        call = self._calls.pop(key, None)
        if call is not None:
            self._of_principals.remove(call.principal, key)

    def acknowledged(self, call_id: str) -> None:
        """The ACK of a 2xx has passed."""
        call = self._calls.get(short_key(call_id))
        if call is not None:
            call.acknowledged = True

    def ended(self, call_id: str) -> None:
        """A BYE goes on."""
        self._forget(short_key(call_id))

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
