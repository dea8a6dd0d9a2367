"""After failed logins the next attempts wait before their credentials are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.authentication.backoff import Attempt, LoginBackoff
from sipmesh.sip.names import bits_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.routing.identity.route_set import RouteSet
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.message import Request

MOST_WAITING_BODY: Final = 16_384
"""Octets of a body that a request may have whose credentials wait; a REGISTER has none."""

TOO_MANY: Final = "too many failed logins on this link"
CREDENTIALS: Final = bits_of("authorization", "proxy-authorization")


class PendingLogin:
    """A request whose sender has to prove to be *aor*: all that is needed to go on with it later."""

    __slots__ = ("aor", "flow", "key", "loop", "place", "request")

    def __init__(self, flow: Flow, request: Request, key: str, place: RouteSet, aor: str, loop: str) -> None:
        self.flow, self.request, self.key = flow, request, key
        self.place, self.aor, self.loop = place, aor, loop

    def __repr__(self) -> str:
        return f"<PendingLogin as {self.aor} on {self.flow!r}>"

    @property
    def attempt(self) -> Attempt:
        """What failures before it are counted for."""
        return attempt_of(self.flow, self.aor)


class LoginHandler(Protocol):
    """What goes on with a login whose wait has ended."""

    def resume_login(self, pending: PendingLogin) -> None:
        """Its time is over: look at its credentials."""

    def give_up_login(self, pending: PendingLogin) -> None:
        """There is no place for it, or a newer attempt has taken it."""


class LoginWaits:
    """The attempts to log in that wait; *failures* says for how long."""

    def __init__(self, loop: AbstractEventLoop, failures: LoginBackoff, accounts: Principals) -> None:
        self._loop, self._failures, self._accounts = loop, failures, accounts
        self._waiting: dict[Attempt, tuple[PendingLogin, LoginHandler]] = {}

    def __repr__(self) -> str:
        return f"<LoginWaits of {len(self._waiting)} attempts>"

    def has_to_wait(self, pending: PendingLogin, handler: LoginHandler) -> bool:
        """Let an attempt wait for as long as failures before it cost; False if it may go on at once.

        Tells *handler* when the wait ends. A link that has failed too often is closed; a link on which a user is logged in
        stays, and waits.
        """
        request, flow = pending.request, pending.flow
        if not request.present & CREDENTIALS:
            return False
        asked, now = pending.attempt, self._loop.time()
        if not flow.users and self._failures.is_closed_to(asked, now):
            flow.link.close(TOO_MANY)
            return True
        delay_s = self._failures.delay_s(asked, now)
        if delay_s == 0:
            return False
        if len(request.body) > MOST_WAITING_BODY:
            handler.give_up_login(pending)
            return True
        for displaced in self._failures.wait(asked):
            self._give_up(displaced)
        self._waiting[asked] = pending, handler
        self._accounts.set_aside(flow)
        self._loop.call_later(delay_s, self._resume, asked)
        return True

    def give_up(self) -> None:
        """End the wait of every attempt: this server takes no new request."""
        for asked in list(self._waiting):
            if self._failures.waited(asked):
                self._give_up(asked)

    def _give_up(self, displaced: Attempt) -> None:
        """End the wait of an attempt whose place a newer one has taken."""
        pending, handler = self._waiting.pop(displaced)
        self._accounts.take_back(pending.flow)
        handler.give_up_login(pending)

    def _resume(self, asked: Attempt) -> None:
        """End the wait of an attempt that has not given way meanwhile, and whose link is still up."""
        if self._failures.waited(asked):
            pending, handler = self._waiting.pop(asked)
            self._accounts.take_back(pending.flow)
            handler.resume_login(pending)

    def gone(self, flow: Flow) -> None:
        """Forget a link that has closed, and its attempts that wait."""
        link = str(flow.number)
        for asked in self._failures.waiting_of_links.of(link):
            self._waiting.pop(asked, None)
        self._failures.gone(link)


def attempt_of(flow: Flow, aor: str) -> Attempt:
    """The attempt to log in as *aor* on a link."""
    return Attempt(str(flow.number), flow.link.remote[0], aor)
