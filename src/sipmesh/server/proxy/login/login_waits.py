"""After failed logins, later attempts wait before their credentials are checked."""

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
"""Octets of the body of a request whose credentials may wait; a REGISTER has no body."""

TOO_MANY: Final = "too many failed logins on this link"
CREDENTIALS: Final = bits_of("authorization", "proxy-authorization")


class PendingLogin:
    """A request whose sender has to log in as *aor*, with all that is needed to continue with it later."""

    __slots__ = ("aor", "flow", "key", "loop", "place", "request")

    def __init__(self, flow: Flow, request: Request, key: str, place: RouteSet, aor: str, loop: str) -> None:
        self.flow, self.request, self.key = flow, request, key
        self.place, self.aor, self.loop = place, aor, loop

    def __repr__(self) -> str:
        return f"<PendingLogin as {self.aor} on {self.flow!r}>"

    @property
    def attempt(self) -> Attempt:
        """What earlier failures are counted for."""
        return attempt_of(self.flow, self.aor)


class LoginHandler(Protocol):
    """Continues with a login after its wait."""

    def resume_login(self, pending: PendingLogin) -> None:
        """The wait is over: check the credentials."""

    def give_up_login(self, pending: PendingLogin) -> None:
        """Refuse the login: too many attempts wait, or a newer attempt has replaced it."""


class LoginWaits:
    """The login attempts that wait; *failures* says for how long."""

    def __init__(self, loop: AbstractEventLoop, failures: LoginBackoff, accounts: Principals) -> None:
        self._loop, self._failures, self._accounts = loop, failures, accounts
        self._waiting: dict[Attempt, tuple[PendingLogin, LoginHandler]] = {}

    def __repr__(self) -> str:
        return f"<LoginWaits of {len(self._waiting)} attempts>"

    def has_to_wait(self, pending: PendingLogin, handler: LoginHandler) -> bool:
        """Make an attempt wait if earlier attempts failed; return False if it may continue at once.

        *handler* is called when the wait ends. A link with too many failures is closed, unless a user is logged in on it.
        """
        request, flow = pending.request, pending.flow
        if not request.present & CREDENTIALS or self._failures.has_none:
            return False
        attempt, now = pending.attempt, self._loop.time()
        if not flow.has_login and self._failures.is_closed_to(attempt, now):
            flow.link.close(TOO_MANY)
            return True
        delay_s = self._failures.delay_s(attempt, now)
        if delay_s == 0:
            return False
        if len(request.body) > MOST_WAITING_BODY:
            handler.give_up_login(pending)
            return True
        for displaced in self._failures.wait(attempt):
            self._give_up(displaced)
        self._waiting[attempt] = pending, handler
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
        pending, handler = self._waiting.pop(displaced)
        self._accounts.count_as_stranger(pending.flow)
        handler.give_up_login(pending)

    def _resume(self, attempt: Attempt) -> None:
        """End the wait of an attempt, unless it was replaced meanwhile or its link has closed."""
        if self._failures.waited(attempt):
            pending, handler = self._waiting.pop(attempt)
            self._accounts.count_as_stranger(pending.flow)
            handler.resume_login(pending)

    def gone(self, flow: Flow) -> None:
        """Forget the attempts of a closed link, and those on the flows that it carried."""
        carried = [attempt for attempt, (pending, _) in self._waiting.items() if pending.flow.carrier is flow]
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
