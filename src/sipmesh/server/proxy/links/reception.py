"""What other processes of this server send: their links and messages, what is counted there, orders and replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import SipmeshError
from sipmesh.routing.authentication.backoff import Attempt, FailureCount
from sipmesh.routing.passport.verification import PassportUse
from sipmesh.server.process.clock import now_utc
from sipmesh.server.proxy.siblings.channel import (
    ADDRESSED,
    ARRIVED,
    CALL,
    CALL_ENDED,
    CLOSE,
    CONTACT,
    DIALOG_ENDED,
    DOWN,
    EARLIER_FAILURES,
    FAILURE,
    FETCH,
    LOGIN,
    ORDER,
    PASSPORTS_USED,
    REPLY,
    SEND,
    SUPERVISOR,
    TAKEN,
    TOKEN_USED,
    UP,
    USAGE,
    WorkerChannel,
    packed,
)
from sipmesh.server.proxy.siblings.handed_requests import refused
from sipmesh.server.proxy.siblings.shared_usage import told
from sipmesh.sip.message import Request

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from sipmesh.routing.authentication.backoff import LoginBackoff
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.calls.trunk_calls import TrunkCalls
    from sipmesh.server.proxy.links.remote_events import RemoteEvents
    from sipmesh.server.proxy.login.takeovers import Takeovers
    from sipmesh.server.proxy.login.token_uses import TokenUses
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.proxy.used_passports import UsedPassports
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor

CLOSED_THERE: Final = "closed at the process that has it"

COUNTS_OF_FRAME: Final = 200
"""Counts in one frame, so that no turn of a worker reads all of them."""

ADDED: Final = True
"""A row of a Contact that exists, and not of a removed one."""


class Reception:
    """The end of the channels that *siblings* use. *events* gets the messages, *elsewhere* gets links and logins.

    *outside* has who takes orders and replies. *clock* gives loop time in seconds.
    """

    def __init__(
        self,
        siblings: Siblings,
        reactor: Reactor,
        events: LinkEvents,
        elsewhere: RemoteEvents,
        accounts: Principals,
        takeovers: Takeovers,
        calls: CallTable,
        trunk_calls: TrunkCalls,
        registrations: Registrations,
        failures: LoginBackoff,
        token_uses: TokenUses,
        passports: UsedPassports,
        outside: Outside,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self.siblings, self._reactor, self._events, self._elsewhere = siblings, reactor, events, elsewhere
        self._accounts, self._takeovers, self._calls = accounts, takeovers, calls
        self._trunk_calls, self._passports = trunk_calls, passports
        self._registrations, self._failures, self._token_uses = registrations, failures, token_uses
        self._outside, self._clock, self._log = outside, clock, log

    def join(self, number: int, branch: str, sock: socket.socket) -> WorkerChannel:
        """Talk to the process *number* from now on, whose branches begin with *branch*; it gets what it needs to know."""
        siblings = self.siblings
        before = siblings.channels.get(number)
        if before is not None:
            before.close()
        channel = WorkerChannel(self._reactor, sock, number, self._take, self._channel_ended)
        siblings.channels[number] = siblings.by_branch[branch] = channel
        siblings.welcome(channel)
        for account in self._accounts.used_here():
            channel.send(USAGE, 0, told(account))
        for address, aor in self._registrations.contacts_here():
            channel.send(CONTACT, 0, packed(address, aor, ADDED))
        if siblings.number == SUPERVISOR:
            self._tell_failures(channel)
        return channel

    def _tell_failures(self, channel: WorkerChannel) -> None:
        """Tell a new worker of failed logins, tokens and PASSporTs: the supervisor gets all of them, and ends with the server."""
        counts = [(*count,) for count in self._failures.counts(self._clock())]
        for begin in range(0, len(counts), COUNTS_OF_FRAME):
            channel.send(EARLIER_FAILURES, 0, packed(*counts[begin : begin + COUNTS_OF_FRAME]))
        for use in self._token_uses.entries():
            channel.send(TOKEN_USED, 0, packed(*use))
        uses = [*self._passports.entries()]
        for begin in range(0, len(uses), COUNTS_OF_FRAME):
            channel.send(PASSPORTS_USED, 0, packed(*uses[begin : begin + COUNTS_OF_FRAME]))

    def _take(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        if kind == SEND:
            self.siblings.local.write(channel, number, payload)
        elif kind == ARRIVED:
            self._arrived(channel, number, payload)
        elif kind == UP:
            self._remote_up(channel, number, json.loads(payload))
        elif kind == LOGIN:
            self._remote_login(number, *json.loads(payload))
        elif kind == DOWN:
            self._remote_down(number, payload.decode())
        elif kind in {ORDER, REPLY}:
            self._outside.orders.take(channel, kind, number, payload)
        else:
            self._take_rare(channel, kind, number, payload)

    def _take_rare(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        if kind == TAKEN:
            self._takeovers.taken_elsewhere(channel.number, frozenset(json.loads(payload)))
        elif kind == FETCH:
            self._outside.sources.fetch_crls(payload)
        elif kind == CLOSE:
            if (flow := self.siblings.local.flow(number)) is not None:
                flow.link.close(payload.decode())
        else:
            self._count(channel, kind, number, payload)

    def _count(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        """Count what another process counts too: uses, users, calls, Contacts, and logins."""
        if kind == USAGE:
            self._accounts.used_elsewhere(channel.number, *json.loads(payload))
        elif kind == ADDRESSED:
            self._accounts.addressed_elsewhere(*json.loads(payload))
        elif kind == CALL:
            self._calls.began_elsewhere(str(json.loads(payload)), number, self._clock())
        elif kind == CALL_ENDED:
            self._calls.ended_elsewhere(str(json.loads(payload)))
        elif kind == DIALOG_ENDED:
            self._trunk_calls.ended(str(json.loads(payload)))
        elif kind == PASSPORTS_USED:
            self._passports.used_elsewhere(PassportUse(*use) for use in json.loads(payload))
        elif kind == CONTACT:
            self.siblings.contacts.told(channel.number, payload)
        else:
            self._count_login(kind, payload)

    def _count_login(self, kind: int, payload: bytes) -> None:
        """Count a failed login of another process, or a login by a token."""
        if kind == FAILURE:
            self._failures.failed(Attempt(*json.loads(payload)), self._clock())
        elif kind == TOKEN_USED:
            self._token_used(*json.loads(payload))
        elif kind == EARLIER_FAILURES:
            for count in json.loads(payload):
                self._failures.failed_before(FailureCount(*count), self._clock())

    def _token_used(self, user: str, digest: str, link: int, ends_at: float) -> None:
        """Remember the link of a token; if it has logged in here at the same instant, close both links."""
        known = self._token_uses.link_of(user, digest)
        self._token_uses.use(user, digest, link, ends_at, now_utc().timestamp())
        if known not in {None, link} and (flow := self.siblings.local.flow(known)) is not None:
            flow.link.close("its access token has logged in on another link")

    def _arrived(self, channel: WorkerChannel, number: int, data: bytes) -> None:
        """Serve a message from a link of another process. A link that is unknown here may be known there: it gets an answer."""
        link, message = self.siblings.remote.links.get(number), self.siblings.local.parsed(data)
        if message is None:
            return
        if link is not None:
            self._events.arrived(link, message)
        elif isinstance(message, Request):
            channel.send(SEND, number, refused(message).encode())

    def _remote_up(self, channel: WorkerChannel, number: int, facts: list[Any]) -> None:
        link = self.siblings.remote.up(self._events, channel, number, facts)
        if link is not None:
            self._elsewhere.remote_up(link)

    def _remote_login(self, number: int, user: str, generation: int) -> None:
        link = self.siblings.remote.links.get(number)
        if link is not None:
            self._elsewhere.remote_login(link, user, generation)

    def _remote_down(self, number: int, why: str) -> None:
        link = self.siblings.remote.down(number)
        if link is not None:
            link.gone()
            self._elsewhere.remote_down(link, why)

    def _channel_ended(self, channel: WorkerChannel) -> None:
        """Forget a process that has ended, its links, and what it has reported."""
        siblings, number = self.siblings, channel.number
        if siblings.channels.get(number) is channel:
            del siblings.channels[number]
        branches = [branch for branch, one in siblings.by_branch.items() if one is channel]
        for branch in branches:
            del siblings.by_branch[branch]
        siblings.local.process_ended(channel, branches)
        for link in siblings.remote.of_process(number):
            self._end(link)
        self._accounts.process_ended(number)
        siblings.contacts.process_ended(number)
        self._takeovers.taken_elsewhere(number, frozenset())
        self._outside.orders.ended(number)

    def _end(self, number: int) -> None:
        try:
            self._remote_down(number, CLOSED_THERE)
        except SipmeshError as wrong:
            self._log.error("the end of a link of another process is not handled", why=str(wrong))
