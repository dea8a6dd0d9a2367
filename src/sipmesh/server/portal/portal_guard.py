"""Who makes a request to the portal: the user of a session, as long as the account is there and not disabled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web
from cryptography import x509

from sipmesh.errors import SipmeshError
from sipmesh.server.console.access.account import Account, accounts_of
from sipmesh.server.console.access.guard import (
    FAILURES_A_MINUTE,
    OPERATOR,
    SESSION,
    Handler,
    must_not_be_of_another_site,
)
from sipmesh.server.console.access.operator import Operator, Session
from sipmesh.server.console.access.secret_table import SecretTable, hash_of
from sipmesh.server.openid.logout_token import has_logged_out
from sipmesh.server.portal.portal_user import IDLE_S, MOST_OF_USER, MOST_SESSIONS, SESSION_S, PortalLogin
from sipmesh.server.process.http_peer import address_of
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.server.provisioning.letter import PORTAL_BY_LINK
from sipmesh.topology.document.parts.oauth import PORTAL
from sipmesh.topology.view import invitation_hosts

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.topology.view import ServerView

LEAF: Final = web.RequestKey("leaf", x509.Certificate)
"""The certificate that the port presents."""

COOKIE: Final = "__Host-sipmesh-portal"
CHANGES_A_MINUTE: Final = 60
"""Forms of one user."""

LOGIN: Final = f"{PORTAL}/login"
FILES: Final = f"{PORTAL}/static"


class PortalGuard:
    """The sessions of the portal. *clock* returns seconds that never go back; *view* returns the topology in force.

    *leader* names the management server that leads, "" while none is known. No session of the console counts here, and no token.
    """

    def __init__(
        self, view: Callable[[], ServerView], leader: Callable[[], str], clock: Callable[[], float], log: Log
    ) -> None:
        self._view, self._leader, self._log = view, leader, log
        self._sessions = SecretTable[Session](MOST_SESSIONS, SESSION_S, clock, IDLE_S, most_of_owner=MOST_OF_USER)
        self._failures = RequestRate(FAILURES_A_MINUTE, clock)
        self._changes = RequestRate(CHANGES_A_MINUTE, clock)

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Find the session of a request to the portal; a server that does not lead sends the browser to the leader."""
        is_page = request.path == PORTAL or request.path.startswith(f"{PORTAL}/")
        if not is_page or request.path.startswith(f"{FILES}/"):
            return await handler(request)
        must_not_be_of_another_site(request)
        self._must_lead(request.path)
        await self._find(request)
        operator = request.get(OPERATOR)
        if operator is not None and request.method == "POST" and not self._changes.admits(operator.who):
            raise too_many()
        return await handler(request)

    def _must_lead(self, path: str) -> None:
        """Send the browser to the server that leads, to the same page if it comes by a link."""
        view, leader = self._view(), self._leader()
        if leader in ("", view.name):
            return
        host = invitation_hosts(view.loaded.topology).get(leader, "")
        if host in ("", view.invitation_host):
            raise web.HTTPServiceUnavailable(
                headers={"Retry-After": "5"}, text=f"{leader} leads now: try again there\n"
            )
        raise web.HTTPTemporaryRedirect(f"https://{host}{path if path == PORTAL_BY_LINK else PORTAL}")

    async def _find(self, request: web.Request) -> None:
        """Set the user and the session of a request; a session that does not count any more ends."""
        secret = request.cookies.get(COOKIE, "")
        session = self._sessions.use(secret)
        if session is None or not isinstance(session.login, PortalLogin):
            return
        loaded = self._view().loaded
        user, why = session.login.operator(loaded.topology, str), ""
        if session.login.browser != browser_of(request):
            why = "its session came from another browser or address"
        elif user is None or await self.account(session.login.user) != session.login.account:
            why = "the account, or the way into the portal, is not that of the sign-in any more"
        if why or user is None:
            self._sessions.take(secret)
            self._log.warning("portal session ended", user=session.login.user, address=address_of(request), why=why)
            return
        request[SESSION], request[OPERATOR] = session, user

    async def account(self, user: str) -> Account | None:
        """Return the account of *user*, None for a user who may not sign in, and if the database does not answer."""
        try:
            return (await off_loop(accounts_of, self._view().loaded, [user])).get(user)
        except SipmeshError:
            return None

    def identify(self, request: web.Request) -> Operator | None:
        """Return the user whom `admit` has found."""
        return request.get(OPERATOR)

    def begin(self, login: PortalLogin) -> str:
        """Begin a session; returns its secret."""
        self._log.info("user signed in to the portal", who=login.user)
        return self._sessions.add(Session(login), login.owner)

    def log_out(self, request: web.Request) -> None:
        """End the session of a request."""
        self._sessions.take(request.cookies.get(COOKIE, ""))

    def end(self, subject: str, session: str) -> list[str]:
        """End the sessions of a hashed ``sid``, or else of a hashed ``sub``; returns the users of these."""

        def is_meant(held: Session) -> bool:
            login = held.login
            return isinstance(login, PortalLogin) and has_logged_out(login.subject, login.session, subject, session)

        return [held.login.owner for held in self._sessions.remove(is_meant)]

    def must_have_failures_left(self, request: web.Request) -> None:
        """Refuse an address that has failed too often in this minute (HTTP 429)."""
        if self._failures.is_spent(address_of(request)):
            raise too_many()

    def refuse(self, request: web.Request, what: str, why: object) -> None:
        """Count a failure of an address, and say in the log why *what* was refused."""
        self.must_have_failures_left(request)
        self._failures.admits(address_of(request))
        self._log.warning("portal refused", what=what, address=address_of(request), why=str(why))


def browser_of(request: web.Request) -> str:
    """Return the hash of where a request comes from: the address and the user agent."""
    return hash_of(f"{request.remote} {request.headers.get('User-Agent', '')}")
