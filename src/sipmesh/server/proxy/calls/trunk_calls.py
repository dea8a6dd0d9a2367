"""The calls with trunks that are up at a gateway, by dialog: each has a channel until a BYE has ended it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.forwarded_caller import forwarded_caller
from sipmesh.routing.numbers.e164 import dialled_number
from sipmesh.server.proxy.dialog_key import dialog_of
from sipmesh.sip.status import FIRST_REDIRECTION
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.numbers.call_bounds import SpentTime
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.sip.message import Response

OVER: Final = frozenset({408, 481})
"""Responses to a BYE after which its dialog is over, besides 2xx (RFC 3261 section 15.1.1). After the 500 for an old CSeq, or the
420 for an unknown extension, the call goes on."""

UNREACHED: Final = frozenset({410, 430, 480})
"""After these the call is over if the trunk has sent the BYE: the phone of the user is gone."""

MOST_DIALOGS: Final = 8
"""Dialogs of one INVITE that are known. A call with more of them lasts until `longest_call`: not each BYE is noticed."""


class TrunkCall:
    """One call with *trunk*: the INVITE *proxied*, its branch *sent* and its first 2xx, by which the gateway can end it.

    *dialogs* says of each dialog that the INVITE has opened whether it is open. *since* is a loop time. *user* is our user who
    calls *number*; both are "" for a call of the trunk. *forwarded* is whose call it is if the user has forwarded it.
    """

    __slots__ = ("dialogs", "forwarded", "number", "proxied", "response", "sent", "since", "trunk", "user")

    def __init__(self, sent: SentBranch, response: Response, since: float, trunk: str) -> None:
        self.sent, self.proxied, self.response = sent, sent.proxied, response.without_body()
        self.since, self.trunk, self.user, self.number = since, trunk, "", ""
        if sent.flow.link.kind is LinkKind.PARTNER:
            self.user, self.number = sent.proxied.identity or "", dialled_number(sent.proxied.request.ruri)
        self.forwarded = forwarded_caller(sent.proxied.request)
        self.dialogs: dict[str, bool] = {}

    @property
    def is_up(self) -> bool:
        """Whether a dialog is open, or not all dialogs are known."""
        return len(self.dialogs) > MOST_DIALOGS or any(self.dialogs.values())

    def opened(self, dialog: str) -> bool:
        """A dialog may be new; tell whether its BYE is to be known."""
        is_new = dialog not in self.dialogs and len(self.dialogs) <= MOST_DIALOGS
        if is_new:
            self.dialogs[dialog] = True
        return is_new


class TrunkCalls:
    """The calls with trunks that are up, *most* of them: a gateway that has so many begins no other.

    A dialog is known by its Call-ID, tags and ends, so that no dialog between others ends it. Two calls between the same ends can
    have all of them in common: then each BYE ends one of both, the older one first. The process that has sent the INVITE has the
    call. The response to a BYE may come to another process, which tells all others. The time of each call goes into *spent*.
    """

    def __init__(
        self,
        most: int,
        current: Current,
        flow_table: FlowTable,
        siblings: OtherProcesses,
        spent: SpentTime,
        clock: Callable[[], float],
    ) -> None:
        self._most, self._current, self._flow_table, self._siblings = most, current, flow_table, siblings
        self._spent, self._clock = spent, clock
        self._calls: dict[SentBranch, TrunkCall] = {}
        self._of_dialogs: dict[str, list[TrunkCall]] = {}
        self._of_users: dict[str, dict[TrunkCall, None]] = {}
        self._of_trunks: dict[str, dict[TrunkCall, None]] = {}
        self._over: deque[TrunkCall] = deque()

    @property
    def is_full(self) -> bool:
        """Whether no other call may begin. Calls that are over do not count; they are remembered for half a minute."""
        return sum(len(calls) for calls in self._of_trunks.values()) >= self._most

    def with_trunk(self, name: str) -> int:
        """Count the calls with the trunk *name*."""
        return len(self._of_trunks.get(name, ()))

    def trunk_of(self, flow: Flow) -> str:
        """Give the name of the trunk at the other end of *flow*; "" if it is none."""
        return min(self._flow_table.domains_of(flow), default="") if flow.link.kind is LinkKind.PARTNER else ""

    def began(self, sent: SentBranch, dialog: str, response: Response, now: float) -> None:
        """A 2xx to an INVITE that begins a call has passed a gateway. It may be one more of the same dialog."""
        call, names = self._calls.get(sent), self._current.value.trunk_names
        if names is None or names.plan.emergency_number(sent.proxied.request.ruri):
            return  # nothing bounds an emergency call
        if call is None:
            trunk = self.trunk_of(sent.flow) or self.trunk_of(sent.proxied.flow)
            call = self._calls[sent] = TrunkCall(sent, response, now, trunk)
        was_up = call.is_up
        if call.opened(dialog):
            if not was_up:
                call.since = now  # also if another phone answers after the dialog with the first one has ended
            self._of_dialogs.setdefault(dialog, []).append(call)
            self._of_users.setdefault(call.user, {})[call] = None
            self._of_trunks.setdefault(call.trunk, {})[call] = None

    def answered_bye(self, sent: SentBranch, status: int) -> None:
        """A BYE has its final response, or none: that is a 408."""
        is_over = (
            status < FIRST_REDIRECTION
            or status in OVER
            or (status in UNREACHED and self.trunk_of(sent.proxied.flow) != "")
        )
        dialog = dialog_of(sent.proxied.request, sent.proxied.received.place.ends)
        if is_over and not self.ended(dialog):
            self._siblings.dialog_ended(dialog)

    def ended(self, dialog: str) -> bool:
        """End a dialog; tell whether it was one of this process."""
        calls = self._of_dialogs.get(dialog)
        if calls is None:
            return False
        call = calls[0]
        self._leave(call, dialog)
        call.dialogs[dialog] = False
        if not call.is_up:
            self._free(call)
        return True

    def forget(self, call: TrunkCall) -> None:
        """Forget a call that this gateway has ended."""
        if call.is_up:
            self._free(call)
        for dialog in call.dialogs:
            self._leave(call, dialog)
        self._calls.pop(call.sent, None)

    def _leave(self, call: TrunkCall, dialog: str) -> None:
        """The dialog of a call is over. Another call may have one with the same key."""
        calls = self._of_dialogs.get(dialog, [])
        if call in calls:
            calls.remove(call)
            if not calls:
                del self._of_dialogs[dialog]

    def _free(self, call: TrunkCall) -> None:
        """Free the channel of a call, and count its time: of its user, of its user and class, and of its trunk."""
        self._over.append(call)
        for calls, key in ((self._of_users, call.user), (self._of_trunks, call.trunk)):
            del calls[key][call]
            if not calls[key]:
                del calls[key]
        names = self._current.value.trunk_names
        if call.user and names is not None:
            now, found = self._clock(), names.plan.class_of(call.number)
            spenders = [(call.user, ""), ("", call.trunk), *([(call.user, found.name)] if found is not None else [])]
            for spender in spenders:
                self._spent.add(spender, now - call.since, now)

    def up(self) -> list[TrunkCall]:
        """List the calls that are up."""
        return [call for calls in self._of_trunks.values() for call in calls]

    def of_trunk(self, name: str) -> list[TrunkCall]:
        """List the calls of our users with the trunk *name* that are up."""
        return [call for call in self._of_trunks.get(name, ()) if call.user]

    def of_user(self, user: str) -> list[TrunkCall]:
        """List the calls of one of our users that are up."""
        return list(self._of_users.get(user, ()))

    def purge(self) -> None:
        """Forget the calls that are over, once their branch is forgotten: before, a repeated 2xx would count them again."""
        while self._over and self._over[0].sent.branch not in self._over[0].sent.flow.sent:
            call = self._over.popleft()
            if not call.is_up:  # another phone may have answered since
                self.forget(call)

    def flow_of(self, flow: Flow) -> Flow:
        """Give *flow*, or if its link has closed, another one to the same peer."""
        if flow.link.usable:
            return flow
        name = self._flow_table.side_name(flow.link)
        others = (one for one in self._flow_table.sessions() if one.link.usable and one.link.kind is flow.link.kind)
        return next((one for one in others if self._flow_table.side_name(one.link) == name), flow)
