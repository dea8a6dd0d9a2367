"""The ways into the portal: what each of them proves, and the sign-in that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.console.access.account import opened
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.control_socket import STATE
from sipmesh.server.kerberos.acceptor import KerberosService
from sipmesh.server.kerberos.negotiation import REPLAYS, ticket_in
from sipmesh.server.openid.access_token import user_of
from sipmesh.server.openid.code_flow import CodeFlow
from sipmesh.server.openid.token_digest import session_hash
from sipmesh.server.portal.portal_guard import LEAF, LOGIN, browser_of
from sipmesh.server.portal.portal_user import SESSION_S, PortalClientEntry, PortalLogin
from sipmesh.server.process.off_loop import off_loop
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.invitations import SECRET, NotOpenError
from sipmesh.topology.portal_ways import LINK, Way, ways_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from sipmesh.server.portal.portal_guard import PortalGuard
    from sipmesh.server.process.https_server_check import HttpsServerCheck
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.portal import PortalRealm
    from sipmesh.topology.view import ServerView

CALLBACK: Final = f"{LOGIN}/callback"


def _has_users_of_others(topology: Topology) -> bool:
    """Tell whether users come from a directory or from SCIM clients: a local user is another person of the same name then."""
    return topology.directory is not None or topology.scim is not None


def _comes_from_there(loaded: Loaded, user: str) -> bool:
    with opened(loaded) as users:
        link = DirectoryLinks(users).link_of(user)
        return link is not None and not link.ended_by


class SignIns:
    """Signs users in whose accounts *guard* finds; *view* returns the topology in force.

    *use_link* uses up the token of a link, for a client at an address, and returns its user. *check* judges the certificate of
    the provider, *clock* returns seconds that never go back. Each method raises `OperatorError` for a refusal.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        guard: PortalGuard,
        use_link: Callable[[str, str], Awaitable[str]],
        check: HttpsServerCheck,
        clock: Callable[[], float],
    ) -> None:
        self._view, self._guard, self._use_link, self._clock = view, guard, use_link, clock
        self.flow: CodeFlow[PortalClientEntry] = CodeFlow(
            lambda: PortalClientEntry.of(view().loaded.topology),
            lambda: f"https://{view().invitation_host}{CALLBACK}",
            lambda: view().loaded.authority.anchors,
            check,
            clock,
        )

    @property
    def realm(self) -> PortalRealm | None:
        """The Kerberos realm in force, None without one."""
        pages = self._view().loaded.topology.invitations
        return pages.portal.kerberos if pages is not None and pages.portal is not None else None

    @property
    def has_links(self) -> bool:
        """Whether links sign in."""
        return LINK in ways_of(self._view().loaded.topology)

    async def by_provider(self, request: web.Request, browser: str) -> PortalLogin:
        """Return the sign-in that the answer of the provider proves; *browser* is the secret that binds it to the browser."""
        client, claims = await self.flow.finish(request.query, browser)
        oauth, domains = client.oauth, self._view().loaded.topology.sip_domains
        user = user_of(claims, oauth.claim, domains).removeprefix("sip:")
        session = session_hash(str(claims.get("sid") or ""))
        return await self._login(request, oauth, user, subject=hash_of(str(claims["sub"])), session=session)

    async def by_ticket(self, request: web.Request, realm: PortalRealm) -> tuple[PortalLogin, str]:
        """Return the sign-in by the ticket of *realm* in a request, and the header of the answer."""
        view, leaf = self._view(), request.get(LEAF)
        if leaf is None:
            raise OperatorError("the port presents no certificate")
        name, folder = view.invitation_host.partition(":")[0], view.loaded.folder
        service = KerberosService(f"HTTP/{name}", realm.realm, folder / realm.keytab, folder / STATE / REPLAYS)
        ticket, header = await ticket_in(request.headers.get("Authorization", ""), service, leaf)
        user = realm.user_of(ticket.principal)
        if user is None:
            raise OperatorError(f"{ticket.principal} is no name of a user")
        if _has_users_of_others(view.loaded.topology) and not await off_loop(_comes_from_there, view.loaded, user):
            remedy = f"if it is the same person: sipmesh directory adopt {user}"
            raise OperatorError(f"{user} is a local user, or none, and no account of the domain; {remedy}")
        return await self._login(request, realm, user, lasts_s=min(SESSION_S, ticket.seconds)), header

    async def by_link(self, request: web.Request, token: str) -> PortalLogin:
        """Return the sign-in by the *token* of a link, which is used up."""
        if not self.has_links or not SECRET.fullmatch(token):
            raise OperatorError("the text is no token of a link")
        try:
            user = await self._use_link(token, request.remote or "")
        except NotOpenError:
            raise OperatorError("no open link has this token") from None
        return await self._login(request, LINK, user)

    async def _login(
        self,
        request: web.Request,
        way: Way,
        user: str,
        *,
        subject: str = "",
        session: str = "",
        lasts_s: float = SESSION_S,
    ) -> PortalLogin:
        """Return the sign-in of *user*, for the browser of a request."""
        account = await self._guard.account(user)
        if account is None:
            raise OperatorError(f"it names {user}, who has no account here, or a disabled one, or is a group")
        ends_at = self._clock() + lasts_s
        return PortalLogin(way, account, subject, session, browser_of(request), ends_at, self._clock)
