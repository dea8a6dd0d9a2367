"""The pages of the portal: the account, its forms, and the sign-in."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, PackageLoader

from sipmesh.errors import SipmeshError, UnusableDatabaseError
from sipmesh.routing.call_rules.rule_words import in_words
from sipmesh.server import console
from sipmesh.server.admin.replies import USER
from sipmesh.server.console.access.guard import (
    FORM_FIELD,
    OPERATOR,
    form_of,
    is_of_another_site,
    must_come_from_our_pages,
)
from sipmesh.server.console.access.secret_table import SECRET_OCTETS
from sipmesh.server.console.operations import USER_DEVICES
from sipmesh.server.console.pages.form_page import FormPage
from sipmesh.server.console.pages.frame import Frame, see, see_provider, templates
from sipmesh.server.kerberos.negotiation import LOGIN_SAYS, NEGOTIATE
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.portal.portal_contacts import CONTACTS_PAGE, REMOVE, PortalContacts
from sipmesh.server.portal.portal_forms import PORTAL_FORMS
from sipmesh.server.portal.portal_guard import COOKIE, FILES, LOGIN
from sipmesh.server.portal.portal_user import PortalUser
from sipmesh.server.portal.sign_ins import CALLBACK
from sipmesh.server.provisioning.letter import PORTAL_BY_LINK
from sipmesh.topology.document.parts.oauth import PORTAL
from sipmesh.topology.portal_ways import ways_of
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipmesh.server.console.operations import Operations
    from sipmesh.server.portal.portal_guard import PortalGuard
    from sipmesh.server.portal.portal_user import PortalLogin
    from sipmesh.server.portal.sign_ins import SignIns
    from sipmesh.topology.view import ServerView

OPENID: Final = f"{LOGIN}/openid"
KERBEROS: Final = f"{LOGIN}/kerberos"
BROWSER: Final = "__Host-sipmesh-portal-openid"
REFUSED: Final = "The sign-in was refused: you have no account here, or it is disabled. Ask your administrator."
LINK_REFUSED: Final = (
    "This link is not valid: it was used, it has expired, or it was revoked. Ask your administrator for another."
)
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

    *operations* are those on the own account, and *sign_ins* the ways in.
    """

    def __init__(
        self, view: Callable[[], ServerView], guard: PortalGuard, operations: Operations, sign_ins: SignIns
    ) -> None:
        self._guard, self._sign_ins = guard, sign_ins
        self._frame = Frame(operations, guard, view, LOGIN, _templates(), (UnusableDatabaseError,))

    def routes(self) -> list[web.RouteDef | web.StaticDef]:
        """Return every path."""
        forms = {form.path: FormPage(self._frame, form) for form in PORTAL_FORMS}
        contacts, removal = (PortalContacts(lambda: self._frame.view().loaded, removes=one) for one in (False, True))
        return [
            web.static(FILES, STATIC),
            web.get(PORTAL, self._frame.page(self._account)),
            web.get(LOGIN, self._login_page),
            web.get(OPENID, self._go_to_provider),
            web.get(CALLBACK, self._come_from_provider),
            web.get(KERBEROS, self._sign_in_by_ticket),
            web.get(PORTAL_BY_LINK, self._login_page),
            web.post(PORTAL_BY_LINK, self._sign_in_by_link),
            web.post(f"{PORTAL}/logout", self._log_out),
            web.get(CONTACTS_PAGE, self._frame.page(contacts.show)),
            web.post(CONTACTS_PAGE, self._frame.form(contacts)),
            web.post(REMOVE, self._frame.form(removal)),
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
        signs_in, is_by_link = self._sign_ins, request.path == PORTAL_BY_LINK
        if not ways_of(self._frame.view().loaded.topology) or (is_by_link and not signs_in.has_links):
            raise web.HTTPNotFound
        values = {
            "failed": failed,
            "openid": signs_in.flow.is_on,
            "kerberos": signs_in.realm is not None,
            "links": is_by_link,
            "sends": not is_of_another_site(request),
        }
        return self._frame.render(request, "login.html", values, status=status)

    async def _go_to_provider(self, request: web.Request) -> web.StreamResponse:
        """Lead the browser to the provider; a cookie binds the answer to this browser."""
        self._guard.must_have_failures_left(request)
        browser = secrets.token_urlsafe(SECRET_OCTETS)
        try:
            return see_provider(await self._sign_ins.flow.begin(browser), BROWSER, browser)
        except OpenIdError as wrong:
            return self._refused(request, "sign-in", wrong)

    async def _come_from_provider(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for the user whom the provider names."""
        self._guard.must_have_failures_left(request)
        try:
            login = await self._sign_ins.by_provider(request, request.cookies.get(BROWSER, ""))
        except SipmeshError as wrong:
            return self._refused(request, "sign-in", wrong)
        answer = self._begun(request, login)
        answer.del_cookie(BROWSER, path="/", secure=True, httponly=True, samesite="Lax")
        return answer

    async def _sign_in_by_ticket(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for the user who is the principal of a ticket (RFC 4559 section 4): one answer each."""
        self._guard.must_have_failures_left(request)
        realm = self._sign_ins.realm
        if realm is None:
            raise web.HTTPNotFound
        if not request.headers.get("Authorization", ""):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": NEGOTIATE}, text=LOGIN_SAYS.format(way=LOGIN))
        try:
            login, header = await self._sign_ins.by_ticket(request, realm)
        except SipmeshError as wrong:
            self._guard.refuse(request, "Kerberos", wrong)
            return self._shown(request, REFUSED, status=web.HTTPForbidden.status_code)
        answer = self._begun(request, login)
        answer.headers["WWW-Authenticate"] = header
        return answer

    async def _sign_in_by_link(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for the user of a link. A right token counts after any failures at its address.

        The token is in the body: it is in no URL that a server or a log gets.
        """
        try:
            login = await self._sign_ins.by_link(request, (await form_of(request)).get("code", "").strip(" "))
        except SipmeshError as wrong:
            self._guard.refuse(request, "link", wrong)
            return self._shown(request, LINK_REFUSED, status=UNAUTHORIZED)
        return self._begun(request, login)

    def _begun(self, request: web.Request, login: PortalLogin) -> web.Response:
        """Begin a session; the answer is a page, as that of the console after a sign-in at another site."""
        answer = self._frame.render(request, "signed_in.html", {})
        answer.set_cookie(COOKIE, self._guard.begin(login), path="/", secure=True, httponly=True, samesite="Strict")
        return answer

    def _refused(self, request: web.Request, what: str, wrong: SipmeshError) -> web.Response:
        self._guard.refuse(request, what, wrong)
        return self._shown(request, REFUSED, status=UNAUTHORIZED)

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        if isinstance(request.get(OPERATOR), PortalUser):
            must_come_from_our_pages(request, (await form_of(request)).get(FORM_FIELD, ""))
            self._guard.log_out(request)
        answer = see(LOGIN)
        answer.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return answer
