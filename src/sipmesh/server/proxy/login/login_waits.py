"""After failed logins, later attempts wait before their credentials are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.authentication.backoff import Attempt, LoginBackoff

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.server.proxy.flow import Flow, ReceivedRequest
    from sipmesh.server.quotas.principals import Principals

MOST_WAITING_BODY: Final = 16_384
"""Octets of the body of a request whose credentials may wait; a REGISTER has no body."""

TOO_MANY: Final = "too many failed logins on this link"


class PendingLogin:
    """A request whose sender has to log in as *aor*; *handler* is called after the wait."""

    __slots__ = ("aor", "flow", "handler", "received")

    def __init__(self, received: ReceivedRequest, aor: str, handler: LoginHandler) -> None:
        self.received, self.flow, self.aor, self.handler = received, received.flow, aor, handler

    @property
    def attempt(self) -> Attempt:
        """What earlier failures are counted for."""
        return attempt_of(self.flow, self.aor)


class LoginHandler(Protocol):
    """Goes on with a login that has waited."""

    def login_due(self, pending: PendingLogin) -> None:
        """The wait is over: check the credentials."""

    def login_given_up(self, pending: PendingLogin) -> None:
        """Refuse the login: too many attempts wait, or a newer attempt has replaced it."""


class LoginWaits:
    """The login attempts that wait; *failures* says for how long."""

    def __init__(self, loop: AbstractEventLoop, failures: LoginBackoff, accounts: Principals) -> None:
        self._loop, self._failures, self._accounts = loop, failures, accounts
        self._waiting: dict[Attempt, PendingLogin] = {}

    def has_to_wait(self, pending: PendingLogin) -> bool:
        """Make an attempt wait if earlier attempts failed; return False if it may continue at once.

        A link with too many failures is closed, unless a user is logged in on it.
        """
        request, flow = pending.received.request, pending.flow
        attempt, now = pending.attempt, self._loop.time()
        if not flow.has_login and self._failures.is_closed_to(attempt, now):
            flow.link.close(TOO_MANY)
            return True
        delay_s = self._failures.delay_s(attempt, now)
        if delay_s == 0:
            return False
        if len(request.body) > MOST_WAITING_BODY:
            pending.handler.login_given_up(pending)
            return True
        for displaced in self._failures.wait(attempt):
            self._give_up(displaced)
        self._waiting[attempt] = pending
        self._accounts.set_aside(flow)
        self._loop.call_later(delay_s, self._resume, attempt)
        return True

    def give_up(self) -> None:
        """End the wait of every attempt: this server takes no new request."""
        for asked in list(self._waiting):
            if self._failures.waited(asked):
                self._give_up(asked)

    def _give_up(self, displaced: Attempt) -> None:
        """End the wait of an attempt that a newer attempt has replaced."""
        pending = self._waiting.pop(displaced)
        self._accounts.count_as_stranger(pending.flow)
        pending.handler.login_given_up(pending)

    def _resume(self, attempt: Attempt) -> None:
        """End the wait of an attempt, unless it was replaced meanwhile or its link has closed."""
        if self._failures.waited(attempt):
            pending = self._waiting.pop(attempt)
            self._accounts.count_as_stranger(pending.flow)
            pending.handler.login_due(pending)

    def gone(self, flow: Flow) -> None:
        """Forget the attempts of a closed link, and those on the flows that it carried."""
        carried = [attempt for attempt, pending in self._waiting.items() if pending.flow.carrier is flow]
        for attempt in carried:
            self._failures.waited(attempt)
            del self._waiting[attempt]
        link = str(flow.number)
        for attempt in self._failures.waiting_of_links.of(link):
            self._waiting.pop(attempt, None)
        self._failures.gone(link)


def attempt_of(flow: Flow, aor: str) -> Attempt:
    """Return the key of a login attempt as *aor* on the link of *flow*; a carried one counts for the server with the link too."""
    through = flow.carrier.link.peer_name if flow.carrier is not None else ""
    return Attempt(str(flow.number), flow.link.remote[0], aor, through)
