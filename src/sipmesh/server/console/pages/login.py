"""The log-in and the log-out of a browser."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.errors import OperatorError
from sipmesh.server.console.access.guard import (
    COOKIE,
    FORM_FIELD,
    LOGIN,
    form_of,
    is_of_another_site,
    must_come_from_our_pages,
)
from sipmesh.server.console.access.openid.flow import CALLBACK
from sipmesh.server.console.access.operator import CertificateLogin
from sipmesh.server.console.access.secret_table import SECRET_OCTETS
from sipmesh.server.console.pages.frame import see, see_provider
from sipmesh.server.kerberos.negotiation import LOGIN_SAYS, NEGOTIATE
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.process.http_peer import address_of

OPENID: Final = "/login/openid"
BROWSER: Final = "__Host-sipmesh-openid"
OPENID_REFUSED: Final = "The log-in by your identity provider was refused: the log of the server says why."
CERTIFICATE: Final = "/login/certificate"
KERBEROS: Final = "/login/kerberos"
KERBEROS_REFUSED: Final = "The log-in by Kerberos was refused: the log of the server says why. Another way: /login\n"
NO_TICKET: Final = LOGIN_SAYS.format(way=LOGIN)
LARGEST_LOGIN: Final = 1024
"""Octets of the form with a code; a browser says its length."""

CODE_NOT_VALID: Final = "This code is not valid: it was used, it is older than five minutes, or it is misspelt."
CERTIFICATE_NOT_VALID: Final = (
    "Your browser has shown no certificate of an operator, or it was refused: see the server log."
)

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Guard
    from sipmesh.server.console.access.kerberos_logins import KerberosLogins
    from sipmesh.server.console.access.openid.flow import OpenIdFlow
    from sipmesh.server.console.pages.frame import Frame


class LoginPages:
    """Begins and ends sessions."""

    def __init__(self, frame: Frame, guard: Guard, flow: OpenIdFlow, kerberos: KerberosLogins) -> None:
        self._frame, self._guard, self._flow, self._kerberos = frame, guard, flow, kerberos

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get(LOGIN, self._login_form),
            web.post(LOGIN, self._log_in),
            web.post(CERTIFICATE, self._log_in_by_certificate),
            web.get(KERBEROS, self._log_in_by_kerberos),
            web.get(OPENID, self._go_to_provider),
            web.get(CALLBACK, self._come_from_provider),
            web.post("/logout", self._log_out),
        ]

    async def _login_form(self, request: web.Request) -> web.Response:
        return self._shown(request)

    def _shown(self, request: web.Request, failed: str = "", status: int = 200) -> web.Response:
        console = self._frame.view().loaded.topology.console
        values = {
            "failed": failed,
            "asks": console is not None and console.client_certificates,
            "openid": self._flow.is_on,
            "kerberos": self._kerberos.is_on,
            "proved": self._guard.certificates.proved_by(request),
            "sends": not is_of_another_site(request),
        }
        return self._frame.render(request, "login.html", values, status=status)

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        """Begin a session with a code. The code is in the body, so it is in no URL and in no log of one.

        The body is short: it is read after any number of requests of the address, and a long one with many fields takes long.
        """
        if request.content_length is None or request.content_length > LARGEST_LOGIN:
            raise web.HTTPRequestEntityTooLarge(LARGEST_LOGIN)
        code = (await form_of(request)).get("code", "").strip(" ")
        secret = self._guard.operators.log_in(code)
        if secret is None:
            self._guard.failed(address_of(request))
            return self._shown(request, CODE_NOT_VALID, status=401)
        return _begun(secret)

    async def _log_in_by_certificate(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for the operator whose certificate the connection has proved.

        A form of another site can send this where the browser does not say so: it logs the operator in as the operator, and
        reads no answer.
        """
        operator = self._guard.by_certificate(request)
        if operator is None:
            return self._shown(request, CERTIFICATE_NOT_VALID, status=401)
        self._guard.log_in(operator)
        return _begun(self._guard.operators.begin(CertificateLogin(self._guard.certificates.proved_by(request))))

    async def _log_in_by_kerberos(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for the principal of the ticket (RFC 4559 section 4): one answer each, and never a dialog of names."""
        principal, given = f"Kerberos {address_of(request)}", request.headers.get("Authorization", "")
        self._guard.must_have_failures_left(principal)
        if not self._kerberos.is_on:
            raise web.HTTPNotFound
        if not given:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": NEGOTIATE}, text=NO_TICKET)
        try:
            login, operator, header = await self._kerberos.log_in(given, request.url.host or "")
        except OperatorError as wrong:
            self._guard.refuse(request, f"Kerberos: {wrong.message}", principal)
            raise web.HTTPForbidden(text=KERBEROS_REFUSED) from None
        self._guard.log_in(operator)
        answer = _begun(self._guard.operators.begin(login))
        answer.headers["WWW-Authenticate"] = header
        return answer

    async def _go_to_provider(self, request: web.Request) -> web.StreamResponse:
        """Lead the browser to the OpenID provider; a cookie binds the answer to this browser."""
        self._guard.must_have_failures_left(_openid_of(request))
        browser = secrets.token_urlsafe(SECRET_OCTETS)
        try:
            return see_provider(await self._flow.begin(browser), BROWSER, browser)
        except OpenIdError as wrong:
            return self._refused(request, wrong)

    async def _come_from_provider(self, request: web.Request) -> web.StreamResponse:
        """Begin a session for whom the provider names.

        The answer is a page and no redirection: a browser sends no cookie that is Strict along a redirection that began at
        another site. The page leads to the map alone, for each request.
        """
        self._guard.must_have_failures_left(_openid_of(request))
        try:
            login = await self._flow.finish(request.query, request.cookies.get(BROWSER, ""))
        except OpenIdError as wrong:
            return self._refused(request, wrong)
        operator = login.operator(self._frame.view().loaded.topology, str)
        if operator is None:
            return self._refused(request, OpenIdError(f"no value of the claim leads to a role for {login.name}"))
        self._guard.log_in(operator)
        answer = self._frame.render(request, "logged_in.html", {"who": operator.who})
        _give_session(answer, self._guard.operators.begin(login))
        answer.del_cookie(BROWSER, path="/", secure=True, httponly=True, samesite="Lax")
        return answer

    def _refused(self, request: web.Request, wrong: OpenIdError) -> web.Response:
        """Say that the log-in was refused; only the log says why, since it has text of the provider and of the request."""
        self._guard.refuse(request, f"OpenID: {wrong}", _openid_of(request))
        return self._shown(request, OPENID_REFUSED, status=401)

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        if self._guard.identify(request) is not None:
            must_come_from_our_pages(request, (await form_of(request)).get(FORM_FIELD, ""))
            self._guard.operators.log_out(request.cookies.get(COOKIE, ""))
        answer = see(LOGIN)
        answer.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return answer


def _openid_of(request: web.Request) -> str:
    """Return the principal of log-ins by OpenID that fail: they leave those with a code as they are."""
    return f"OpenID {address_of(request)}"


def _begun(secret: str) -> web.Response:
    """Begin the session of *secret*, and lead the browser to the map."""
    answer = see("/")
    _give_session(answer, secret)
    return answer


def _give_session(answer: web.Response, secret: str) -> None:
    """Give the browser the *secret* of its session, in a cookie that no script reads and no other site sends."""
    answer.set_cookie(COOKIE, secret, path="/", secure=True, httponly=True, samesite="Strict")
