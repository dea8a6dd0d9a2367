"""What every request to the console passes: its host, the rate of its address, who makes it, and the headers of the answer."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.server.console.access.api_refusal import in_json, is_of_api
from sipmesh.server.console.access.connection import ConsoleConnection
from sipmesh.server.console.access.operator import (
    Operator,
    Operators,
    Session,
    operator_of_certificate,
    operator_of_token,
)
from sipmesh.server.console.access.scim_token import client_of_token
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.enrolment.paths import is_of_acme, is_of_enrolment
from sipmesh.server.enrolment.problem import in_problem
from sipmesh.server.kerberos.negotiation import NEGOTIATE
from sipmesh.server.process.http_peer import address_of, certificate_of
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.server.scim.scim_error import in_scim, is_of_scim
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from sipmesh.server.console.access.operator_certificate import OperatorCertificates
    from sipmesh.server.log import Log
    from sipmesh.topology.view import ServerView

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOGIN: Final = "/login"
HTTPS_PORT: Final = 443
COOKIE: Final = "__Host-sipmesh"
BEARER: Final = "Bearer "
FORM_FIELD: Final = "form_token"
FORM: Final = "application/x-www-form-urlencoded"
OPERATOR: Final = web.RequestKey("operator", Operator)
SESSION: Final = web.RequestKey("session", Session)

REQUESTS_A_MINUTE: Final = 600
"""Requests of one operator; and requests of one address without a proof."""

ENROLMENT_REQUESTS_A_MINUTE: Final = 240
"""Requests of one address by EST and ACME, beside the others: an ACME client needs twelve for a certificate."""

SCIM_REQUESTS_A_MINUTE: Final = 3_000
"""Requests of one SCIM client: a first sync writes each user, and Entra sends 25 requests in a second."""

FAILURES_A_MINUTE: Final = 10
"""Codes and tokens of one address that fail; answers of its OpenID provider, and those of a certificate, count apart."""

ANOTHER_SITE: Final = "another site has caused this request\n"
FETCH_SITE: Final = "Sec-Fetch-Site"
LEADS_HERE: Final = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What a browser sends for the page of a tab: after a link, or back from the OpenID provider."""

REFRESH: Final = "X-Refresh"
"""The header of a request that a page makes by itself: it does not keep a session from ending."""

REFRESH_FIELD: Final = "refresh"
"""The same in the query, for a browser without JavaScript."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
}


class Guard:
    """Decides who makes a request. *clock* returns seconds that never go back; *view* returns the topology in force.

    *certificates* judges the certificates of connections.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        clock: Callable[[], float],
        log: Log,
        certificates: OperatorCertificates,
    ) -> None:
        self._view, self._log, self.certificates = view, log, certificates
        self.operators = Operators(clock)
        self._of_strangers = RequestRate(REQUESTS_A_MINUTE, clock)
        self._of_enrolment = RequestRate(ENROLMENT_REQUESTS_A_MINUTE, clock)
        self._of_known = RequestRate(REQUESTS_A_MINUTE, clock)
        self._of_scim = RequestRate(SCIM_REQUESTS_A_MINUTE, clock)
        self._failures = RequestRate(FAILURES_A_MINUTE, clock)

    @web.middleware
    async def answer_safely(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a wrong host, another site, and too many requests; set the security headers of each answer, of errors too.

        What another site causes is refused before it counts: it must not use up what the address of its visitor has.
        """
        try:
            self._must_be_for_us(request)
            must_not_be_of_another_site(request)
            is_last = self._is_last(request)
            answer = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise _in_form_of(request.path, error) from None
        except Exception as fault:  # noqa: BLE001 - a fault of ours ends this request only
            self._log.error("fault", what=f"the console at {request.path}", exc_info=fault)
            ours = web.HTTPInternalServerError(headers=HEADERS)
            raise _in_form_of(request.path, ours) from None
        answer.headers.update(HEADERS)
        if is_last:
            answer.force_close()
        return answer

    def _must_be_for_us(self, request: web.Request) -> None:
        """Refuse another Host: a page of another name that DNS leads here (DNS rebinding) must not read the console."""
        view = self._view()
        listening = view.console
        if listening is None:
            raise web.HTTPNotFound
        host, port = listening
        literal = f"[{host}]" if ":" in host else host
        names = {view.name, literal, "localhost"}
        if is_of_enrolment(request.path) or is_of_scim(request.path):
            names.add(view.pool.name)  # a client of a management pool asks for its name, and DNS leads it to the leader
        hosts = {f"{name}:{port}" for name in names} | (names if port == HTTPS_PORT else set())
        if ascii_lower(request.host) not in hosts:
            raise web.HTTPMisdirectedRequest(text=f"this is https://{view.name}:{port}\n")

    def _is_last(self, request: web.Request) -> bool:
        """Count a request; True if its connection ends with the answer. Raises HTTP 429 for one too many.

        An operator who proves an identity first has requests and connections that no stranger uses up, from the same address too.
        The page of the log-in is always answered: a code that is right must come through. Beyond the limit each answer costs a
        handshake, which the port limits.
        """
        if is_of_enrolment(request.path):
            if not self._of_enrolment.admits(address_of(request)):
                raise too_many()
            return False
        proved = self._proved(request)
        if not proved:
            is_last = not self._of_strangers.admits(address_of(request))
            if is_last and request.path != LOGIN:
                raise too_many()
            return is_last
        if not (self._of_scim if is_of_scim(request.path) else self._of_known).admits(proved):
            raise too_many()
        connection = request.protocol
        if isinstance(connection, ConsoleConnection) and not connection.proves(proved):
            raise too_many(1)
        return False

    def _proved(self, request: web.Request) -> str:
        """Return whose request it is: by a valid token, a session, or a certificate that TLS has accepted; "" for a stranger."""
        topology, token = self._view().loaded.topology, token_of(request) or ""
        if is_of_scim(request.path):
            return client_of_token(topology, token)
        known = operator_of_token(topology, token)
        if known is not None:
            return known.who
        session = self.operators.session(request.cookies.get(COOKIE, ""), counts=False)
        if session is not None:
            return session.login.owner
        presented = certificate_of(request)
        return _certificate(presented) if presented is not None else ""

    def identify(self, request: web.Request) -> Operator | None:
        """Find the operator by the token or by the session of *request*; raises HTTP 401 for a token that is not valid."""
        given = request.headers.get("Authorization", "")
        if given and not given.startswith(f"{NEGOTIATE} "):  # clients repeat a ticket at pages that ask for none
            return self._by_token(request)
        by_person = REFRESH not in request.headers and REFRESH_FIELD not in request.query
        session = self.operators.session(request.cookies.get(COOKIE, ""), counts=by_person)
        if session is None:
            return None
        operator = session.login.operator(self._view().loaded.topology, lambda: self.certificates.proved_by(request))
        if operator is None:  # the topology no longer has the operator, or the certificate was revoked
            self.operators.log_out(request.cookies.get(COOKIE, ""))
            return None
        request[SESSION], request[OPERATOR] = session, operator
        return operator

    def identify_program(self, request: web.Request) -> Operator | None:
        """Find the operator as `identify` does, or by the certificate of the connection.

        A browser adds the certificate to requests that another site has caused. Raises HTTP 403 for those, for a link too.
        """
        known = self.identify(request)
        if known is not None or certificate_of(request) is None:
            return known
        if is_of_another_site(request):
            raise web.HTTPForbidden(text=ANOTHER_SITE)
        return self.by_certificate(request)

    def by_certificate(self, request: web.Request) -> Operator | None:
        """Find the operator by the certificate of the connection, None without an accepted one."""
        presented = certificate_of(request)
        if presented is None:
            return None
        principal = _certificate(presented)
        self.must_have_failures_left(principal)
        verdict = self.certificates.judge(presented)
        found = operator_of_certificate(self._view().loaded.topology, verdict.name) if verdict.is_trusted else None
        if found is None:
            why = "; ".join(verdict.reasons) or f"{verdict.name} is not an operator of the topology in force"
            self.refuse(request, f"certificate: {verdict.code}: {why}", principal)
            return None
        request[OPERATOR] = found
        return found

    def _by_token(self, request: web.Request) -> Operator:
        """Find the operator by the token; a valid one counts after any failures at its address."""
        token = token_of(request)
        known = operator_of_token(self._view().loaded.topology, token) if token is not None else None
        if known is None:
            self.failed(address_of(request))
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"}, text="this token is not valid\n")
        request[OPERATOR] = known
        return known

    def must_have_failures_left(self, principal: str) -> None:
        """Refuse a *principal* that has failed too often in this minute (HTTP 429)."""
        if self._failures.is_spent(principal):
            raise too_many()

    def refuse(self, request: web.Request, why: str, principal: str) -> None:
        """Count a failed log-in of *principal*, and say in the log *why* it was refused."""
        self.failed(principal)
        self._log.warning("operator refused", address=address_of(request), why=why)

    def log_in(self, operator: Operator) -> None:
        """Say in the log who has logged in by a certificate or by an identity provider."""
        self._log.info("operator logged in", who=operator.who, role=str(operator.role))

    def failed(self, principal: str) -> None:
        """Count a failed log-in; raises HTTP 429 for one too many. What is right is never refused: it was checked before."""
        self.must_have_failures_left(principal)
        self._failures.admits(principal)


def _in_form_of(path: str, error: web.HTTPException) -> web.HTTPException:
    """Give *error* the form that a client of *path* reads: JSON of the API, or a problem of ACME (RFC 8555 6.7)."""
    if is_of_api(path):
        return in_json(error)
    if is_of_scim(path):
        return in_scim(error)
    return in_problem(error) if is_of_acme(path) else error


def must_not_be_of_another_site(request: web.Request) -> None:
    """Refuse a request that a page of another site has caused (HTTP 403), unless it leads a tab of the browser here."""
    leads_here = request.method == "GET" and all(request.headers.get(name) == said for name, said in LEADS_HERE.items())
    if is_of_another_site(request) and not leads_here:
        raise web.HTTPForbidden(text=ANOTHER_SITE)


def is_of_another_site(request: web.Request) -> bool:
    """Tell whether a browser says that another site has caused a request (Fetch Metadata Request Headers, W3C, section 2.3).

    A program says nothing.
    """
    return request.headers.get(FETCH_SITE, "none") not in ("none", "same-origin")


def must_come_from_our_pages(request: web.Request, form_token: str) -> None:
    """Refuse a request of a session that another site has caused (HTTP 403): its form has not the token of the session."""
    session = request.get(SESSION)
    if session is None:
        return  # a token of the API, which no browser adds by itself
    if not secrets.compare_digest(hash_of(session.form_token), hash_of(form_token)):
        raise web.HTTPForbidden(text="this form is not from a page of this session: load the page again\n")


async def form_of(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form; raises HTTP 400 if the form cannot be read.

    Our pages send no files, so a body of another type has no fields.
    """
    if request.content_type != FORM:
        return {}
    try:
        fields = await request.post()
    except (ValueError, LookupError):  # octets that are not of its charset, or an unknown charset
        raise web.HTTPBadRequest(text="the form cannot be read\n") from None
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def token_of(request: web.Request) -> str | None:
    """Return the token of a request, None if it has none."""
    header = request.headers.get("Authorization", "")
    return header.removeprefix(BEARER) if header.startswith(BEARER) else None


def _certificate(leaf: bytes) -> str:
    """Return the principal that a certificate is, whether it is one of an operator or not."""
    return f"certificate {sha256(leaf).hexdigest()}"
