"""The calls that are up, as this server has seen them: a 2xx to an INVITE has passed, and no BYE yet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sipmesh.routing.budget import Budget
from sipmesh.sip.text_cache import short_key
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.bridging.bridges import Bridges
    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.records.call_recorder import CallRecorder
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request, Response

LONGEST_NAME: Final = 256
"""Characters of each name of a call that are kept: a call may stay for days, and its names may be as long as a URI."""


class UpCall:
    """One call: the names of both sides, the loop time of its 2xx, and the links that it began on, by number.

    *principal* is the key of the account of its caller.
    *acknowledged* says that the ACK of its 2xx has passed. *is_shared* says that another process has the link of the callee.
    *outsiders* are the applications, trunks and partners in it. A call with one has its branch *sent* and its *response* too:
    by these it can be ended.
    """

    __slots__ = (
        "acknowledged",
        "callee",
        "caller",
        "is_shared",
        "links",
        "outsiders",
        "principal",
        "response",
        "sent",
        "since",
    )

    def __init__(
        self,
        invite: Request,
        since: float,
        came_on: Flow,
        went_on: Flow,
        principal: str,
        sent: SentBranch | None = None,
    ) -> None:
        self.caller, self.callee = invite.from_.uri[:LONGEST_NAME], invite.to.uri[:LONGEST_NAME]
        self.since, self.links, self.principal = since, (came_on.number, went_on.number), principal
        self.acknowledged, self.is_shared = False, not went_on.link.is_here
        self.outsiders = tuple(name for name in (came_on.outsider, went_on.outsider) if name)
        self.sent = sent if self.outsiders else None
        self.response: Response | None = None

    def is_with_application(self, name: str) -> bool:
        """Tell whether *name* is an application in the call."""
        sent = self.sent
        flows = (sent.flow, sent.proxied.flow) if sent is not None else ()
        return any(flow.outsider == name and flow.link.kind is LinkKind.SERVER for flow in flows)


class CallTable:
    """Calls by the keys of their dialogs, *most* of them: then the oldest is forgotten. Routing does not ask it.

    Each 2xx of a forked INVITE begins a dialog of its own, and its phone is in a call of its own.

    A principal has as many calls here as it may have branches; then its own oldest call is forgotten. So no principal
    makes the server forget the calls of all others.

    In a server of several processes, the process that has forwarded the INVITE has the call. It tells the process of the
    callee's link, which has it among the calls elsewhere: they are not counted, and keep the link. A BYE may pass any
    process, so that it is reported to the others. *records* and *bridges* learn of each end.

    *called* counts the calls that each application, trunk and partner has accepted.
    """

    def __init__(self, most: int, siblings: OtherProcesses, records: CallRecorder, bridges: Bridges) -> None:
        self._most, self._siblings, self._records, self._bridges = most, siblings, records, bridges
        self._calls: dict[str, UpCall] = {}
        self._elsewhere: dict[str, tuple[int, float]] = {}  # the number of the link here, and the loop time
        self._of_principals: Budget[str] = Budget(most, most)
        self._of_outsiders: dict[str, dict[str, UpCall]] = {}
        self.called: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._calls)

    def began(
        self,
        key: str,
        invite: Request,
        response: Response,
        came_on: Flow,
        went_on: Flow,
        account: Usage,
        now: float,
        sent: SentBranch | None = None,
    ) -> None:
        """A 2xx to *invite* has passed, which begins the dialog *key*; a 2xx that is sent again changes nothing.

        *account* is that of the caller, *sent* the branch that was accepted.
        """
        principal = short_key(account.name)
        if key in self._calls:
            return
        self._make_room(principal, account.most_branches)
        self._of_principals.add(principal, key)
        call = self._calls[key] = UpCall(invite, now, came_on, went_on, principal, sent)
        if call.sent is not None:
            call.response = response.without_body()
            for name in call.outsiders:
                self._of_outsiders.setdefault(name, {})[key] = call
            if went_on.outsider:
                self.called[went_on.outsider] += 1
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
        if call is None:
            return None
        self._of_principals.remove(call.principal, key)
        for name in call.outsiders:
            calls = self._of_outsiders.get(name, {})
            calls.pop(key, None)
            if not calls:
                self._of_outsiders.pop(name, None)
        return call

    def with_outsider(self, name: str) -> list[UpCall]:
        """List the calls with the application, trunk or partner *name*."""
        return list(self._of_outsiders.get(name, {}).values())

    def applications(self) -> list[str]:
        """List the applications with which calls are up."""
        of_all = self._of_outsiders.items()
        return [name for name, calls in of_all if next(iter(calls.values())).is_with_application(name)]

    def acknowledged(self, key: str) -> None:
        """The ACK of a 2xx has passed."""
        call = self._calls.get(key)
        if call is not None:
            call.acknowledged = True

    def ended(self, key: str, call_id: str) -> None:
        """The dialog *key* is over: its BYE has the final response, or nothing of the call may go on."""
        if self._records.up.by_key:
            self._records.ended(key, call_id)
        self.ended_here(key)

    def ended_here(self, key: str) -> None:
        """This server has ended a call itself; *key* is that of its dialog."""
        call = self._forget(key)
        self._elsewhere.pop(key, None)
        self._bridges.ended(key)
        if call is None or call.is_shared:
            self._siblings.call_ended(key)

    def ended_elsewhere(self, key: str) -> None:
        """A dialog has ended at another process."""
        if self._records.up.by_key:
            self._records.ended(key)
        self._bridges.ended(key)
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
