"""The calls that are up, as this server has seen them: a 2xx to an INVITE has passed, and no BYE yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.budget import Budget
from sipmesh.sip.text_cache import short_key

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.records.call_recorder import CallRecorder
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request

LONGEST_NAME: Final = 256
"""Characters of each name of a call that are kept: a call may stay for days, and its names may be as long as a URI."""


class UpCall:
    """One call: the names of both sides, the loop time of its 2xx, and the links that it began on, by number.

    *peers* are the names that the peers of these links have proved. *principal* is the key of the account of its caller.
    *acknowledged* says that the ACK of its 2xx has passed. *is_shared* says that another process has the link of the callee.
    """

    __slots__ = ("acknowledged", "callee", "caller", "is_shared", "links", "peers", "principal", "since")

    def __init__(self, invite: Request, since: float, came_on: Flow, went_on: Flow, principal: str) -> None:
        self.caller, self.callee = invite.from_.uri[:LONGEST_NAME], invite.to.uri[:LONGEST_NAME]
        self.since, self.links, self.principal = since, (came_on.number, went_on.number), principal
        self.peers = (came_on.link.peer_name, went_on.link.peer_name)
        self.acknowledged, self.is_shared = False, not went_on.link.is_here

    def __repr__(self) -> str:
        return f"<UpCall from {self.caller} to {self.callee}>"


class CallTable:
    """Calls by Call-ID, *most* of them: then the oldest is forgotten. Routing does not ask it.

    A principal has as many calls here as it may have branches; then its own oldest call is forgotten. So no principal
    makes the server forget the calls of all others.

    In a server of several processes, the process that has forwarded the INVITE has the call. It tells the process of the
    callee's link, which has it among the calls elsewhere: they are not counted, and keep the link. A BYE may pass any
    process, so that it is reported to the others. *records* learn of each BYE.
    """

    def __init__(self, most: int, siblings: OtherProcesses, records: CallRecorder) -> None:
        self._most, self._siblings, self._records = most, siblings, records
        self._calls: dict[str, UpCall] = {}
        self._elsewhere: dict[str, tuple[int, float]] = {}  # the number of the link here, and the loop time
        self._of_principals: Budget[str] = Budget(most, most)
        self._with_peers: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<CallTable of {len(self._calls)} calls>"

    def __len__(self) -> int:
        return len(self._calls)

    def began(self, invite: Request, came_on: Flow, went_on: Flow, account: Usage, now: float) -> None:
        """A 2xx to *invite* has passed, which opens a dialog; further 2xx of a fork change nothing.

        *account* is that of the caller.
        """
        key, principal = short_key(invite.call_id), short_key(account.name)
        if key in self._calls:
            return
        self._make_room(principal, account.most_branches)
        self._of_principals.add(principal, key)
        call = self._calls[key] = UpCall(invite, now, came_on, went_on, principal)
        for peer in call.peers:
            self._with_peers[peer] = self._with_peers.get(peer, 0) + 1
        if call.is_shared:
            self._siblings.call_began(key, went_on)

    def began_elsewhere(self, key: str, number: int, now: float) -> None:
        """Another process has a call with the link *number* of this one; in a full table, the oldest one gives way."""
        if len(self._elsewhere) >= self._most:
            del self._elsewhere[next(iter(self._elsewhere))]
        self._elsewhere[key] = number, now

    def _make_room(self, principal: str, most: int) -> None:
        oldest = self._of_principals.oldest(principal)
        if oldest is not None and self._of_principals.count(principal) >= most:
            self._forget(oldest)
        elif len(self._calls) >= self._most:
            self._forget(next(iter(self._calls)))

    def _forget(self, key: str) -> UpCall | None:
        call = self._calls.pop(key, None)
        if call is not None:
            self._of_principals.remove(call.principal, key)
            for peer in call.peers:
                self._with_peers[peer] -= 1
                if not self._with_peers[peer]:
                    del self._with_peers[peer]
        return call

    def has(self, call_id: str) -> bool:
        """Tell whether a call with that Call-ID is up."""
        return short_key(call_id) in self._calls

    def with_peer(self, name: str) -> int:
        """Count the calls on links whose peer has proved *name*."""
        return self._with_peers.get(name, 0)

    def acknowledged(self, call_id: str) -> None:
        """The ACK of a 2xx has passed."""
        call = self._calls.get(short_key(call_id))
        if call is not None:
            call.acknowledged = True

    def ended(self, call_id: str) -> None:
        """A BYE goes on."""
        key = short_key(call_id)
        if self._records.up.by_key:
            self._records.ended(key)
        call = self._forget(key)
        self._elsewhere.pop(key, None)
        if call is None or call.is_shared:
            self._siblings.call_ended(key)

    def ended_elsewhere(self, key: str) -> None:
        """A BYE has passed another process."""
        if self._records.up.by_key:
            self._records.ended(key)
        self._forget(key)
        self._elsewhere.pop(key, None)

    def unacknowledged(self, since: float) -> set[int]:
        """Give the numbers of the links of calls whose ACK is still to come, and whose 2xx passed after *since*.

        The ACK of a call elsewhere does not pass here, so each of them counts.
        """
        found: set[int] = set()
        for call in reversed(self._calls.values()):  # the newest calls first
            if call.since <= since:
                break
            if not call.acknowledged:
                found.update(call.links)
        found.update(number for number, began in self._elsewhere.values() if began > since)
        return found

    def links(self) -> set[int]:
        """Give the numbers of the links on which the calls have begun, also those elsewhere."""
        return {number for call in self._calls.values() for number in call.links} | {
            number for number, _ in self._elsewhere.values()
        }

    def up(self) -> list[UpCall]:
        """List the calls, oldest first."""
        return list(self._calls.values())
