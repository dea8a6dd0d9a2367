"""The pages of the portal: the account, its forms, and the sign-in."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, PackageLoader

from sipmesh.routing.call_rules.rule_words import in_words
from sipmesh.server import console
from sipmesh.server.admin.replies import USER
from sipmesh.server.console.access.guard import FORM_FIELD, OPERATOR, form_of, must_come_from_our_pages
from sipmesh.server.console.access.secret_table import SECRET_OCTETS, hash_of
from sipmesh.server.console.operations import USER_DEVICES
from sipmesh.server.console.pages.form_page import FormPage
from sipmesh.server.console.pages.frame import Frame, see, see_provider, templates
from sipmesh.server.openid.access_token import user_of
from sipmesh.server.openid.code_flow import CodeFlow
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token_digest import session_hash
from sipmesh.server.portal.portal_forms import PORTAL_FORMS
from sipmesh.server.portal.portal_guard import COOKIE, FILES, LOGIN, browser_of
from sipmesh.server.portal.portal_user import SESSION_S, PortalClientEntry, PortalLogin, PortalUser
from sipmesh.topology.document.parts.oauth import PORTAL
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipmesh.server.console.operations import Operations
    from sipmesh.server.portal.portal_guard import PortalGuard
    from sipmesh.server.process.https_server_check import HttpsServerCheck
    from sipmesh.topology.view import ServerView

OPENID: Final = f"{LOGIN}/openid"
CALLBACK: Final = f"{LOGIN}/callback"
BROWSER: Final = "__Host-sipmesh-portal-openid"
REFUSED: Final = "The sign-in was refused: you have no account here, or it is disabled. Ask your administrator."
STATIC: Final = Path(console.__file__).parent / "static"
UNAUTHORIZED: Final = 401


@cache
def _templates() -> Environment:
    """Return the templates: those of the portal, and behind them those of the console."""
    own = PackageLoader("sipmesh.server.portal")
    made: Environment = templates().overlay()
    made.loader = ChoiceLoader([own, PackageLoader("sipmesh.server.console")])
    return made


class PortalPages:
    """The pages for the users whom *guard* admits; *view* returns the topology in force.

    *operations* are those on the own account. *check* judges the certificate of the provider, *clock* returns seconds that
    never go back.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        guard: PortalGuard,
        operations: Operations,
        check: HttpsServerCheck,
        clock: Callable[[], float],
    ) -> None:
        self._view, self._guard, self._clock = view, guard, clock
        self._frame = Frame(operations, guard, view, LOGIN, _templates())
        self._flow: CodeFlow[PortalClientEntry] = CodeFlow(
            lambda: PortalClientEntry.of(view().loaded.topology),
            lambda: f"https://{view().invitation_host}{CALLBACK}",
            lambda: view().loaded.authority.anchors,
            check,
            clock,
        )

    def routes(self) -> list[web.RouteDef | web.StaticDef]:
        """Return every path."""
        forms = {form.path: FormPage(self._frame, form) for form in PORTAL_FORMS}
        return [
            web.static(FILES, STATIC),
            web.get(PORTAL, self._frame.page(self._account)),
            web.get(LOGIN, self._login_page),
            web.get(OPENID, self._go_to_provider),
            web.get(CALLBACK, self._come_from_provider),
            web.post(f"{PORTAL}/logout", self._log_out),
            *(web.get(path, self._frame.page(page.show)) for path, page in forms.items()),
            *(web.post(path, self._frame.form(page)) for path, page in forms.items()),
        ]

    async def _account(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Show the account. Registrations and logins are those at front ends on this machine."""
        known = await self._frame.read(request, USER.name)
        owned = await self._frame.read(request, USER_DEVICES)
        here = [one for one in known.servers if one.role is Role.FRONT_END]
        return "account.html", {
            "known": known,
            "owned": owned,
            "calls": in_words(known.calls),
            "bindings": [one for server in here for one in server.bindings],
            "failures": [one for server in here for one in server.failures],
            "logins": [one for server in here for one in server.logins],
        }

    async def _login_page(self, request: web.Request) -> web.StreamResponse:
        return self._shown(request)

    def _shown(self, request: web.Request, failed: str = "", status: int = 200) -> web.Response:
        if not self._flow.is_on:
            raise web.HTTPNotFound
        return self._frame.render(request, "login.html", {"failed": failed}, status=status)

    async def _go_to_provider(self, request: web.Request) -> web.StreamResponse:
        """Lead the browser to the provider; a cookie binds the answer to this browser."""
        self._guard.must_have_failures_left(request)
        browser = secrets.token_urlsafe(SECRET_OCTETS)
        try:
            return see_provider(await self._flow.begin(browser), BROWSER, browser)
        except OpenIdError as wrong:
            return self._refused(request, wrong)

    async def _come_from_provider(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for the user whom the provider names; the answer is a page, as that of the console."""
        self._guard.must_have_failures_left(request)
        try:
            login = await self._signed_in(request)
        except OpenIdError as wrong:
            return self._refused(request, wrong)
        answer = self._frame.render(request, "signed_in.html", {})
        answer.set_cookie(COOKIE, self._guard.begin(login), path="/", secure=True, httponly=True, samesite="Strict")
        answer.del_cookie(BROWSER, path="/", secure=True, httponly=True, samesite="Lax")
        return answer

    async def _signed_in(self, request: web.Request) -> PortalLogin:
        """Return the sign-in that the answer of the provider proves; raises `OpenIdError`."""
        client, claims = await self._flow.finish(request.query, request.cookies.get(BROWSER, ""))
        oauth, domains = client.oauth, self._view().loaded.topology.sip_domains
        user = user_of(claims, oauth.claim, domains).removeprefix("sip:")
        created = await self._guard.account(user)
        if created is None:
            raise OpenIdError(f"it names {user}, who has no account here, or a disabled one, or is a group")
        session = session_hash(str(claims.get("sid") or ""))
        ends_at = self._clock() + SESSION_S
        subject, browser = hash_of(str(claims["sub"])), browser_of(request)
        return PortalLogin(oauth, user, created, subject, session, browser, ends_at, self._clock)

    def _refused(self, request: web.Request, wrong: OpenIdError) -> web.Response:
        self._guard.refuse(request, "sign-in", wrong)
        return self._shown(request, REFUSED, status=UNAUTHORIZED)

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        if isinstance(request.get(OPERATOR), PortalUser):
            must_come_from_our_pages(request, (await form_of(request)).get(FORM_FIELD, ""))
            self._guard.log_out(request)
        answer = see(LOGIN)
        answer.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return answer
