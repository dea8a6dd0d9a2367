"""What a stranger may ask the pages of invitations for, and how often; a right login counts against its own user alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.errors import UnusableDatabaseError
from sipmesh.server.console.access.guard import HEADERS, Handler
from sipmesh.server.invitations.known_logins import KnownLogins
from sipmesh.server.process.http_peer import address_of
from sipmesh.server.process.http_runner import too_many, unavailable
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.server.provisioning.profile import reach_of
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.document.parts.files import FILES
from sipmesh.topology.document.parts.invitations import CONTACTS, LOG_OUT, RULES
from sipmesh.topology.view import has_web_phone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipmesh.server.log import Log
    from sipmesh.topology.view import ServerView

REQUESTS_A_MINUTE: Final = 600
"""Requests of one address whose login is not known as right: behind it can be a site with its phones."""

REQUESTS_OF_USER: Final = 1_200
"""Requests of one user with a right login, at all addresses: as many as there may be about contacts."""

FAILURES_A_MINUTE: Final = 20
"""Requests of one address with a wrong secret. A right one is served after any number of them."""

NOT_NOW: Final = "This cannot be done now: try again in a minute, or tell your administrator.\n"
LATER_S: Final = 60

EVERYBODY: Final = "*"
REQUESTS_OF_ALL: Final = 6_000
"""Requests of all addresses in a minute whose login is not known as right."""

PHONEBOOK: Final = "/b/"
_OF_WEB_PHONE: Final = (CONTACTS, FILES, RULES, LOG_OUT)
_BY_USER: Final = web.RequestKey("by_user", bool)


class Strangers:
    """The budgets of strangers, and what each answer to them has; *clock* returns seconds that never go back."""

    def __init__(self, view: Callable[[], ServerView], clock: Callable[[], float], log: Log) -> None:
        self._view, self._log = view, log
        self._requests = RequestRate(REQUESTS_A_MINUTE, clock)
        self._failures = RequestRate(FAILURES_A_MINUTE, clock)
        self._of_all = RequestRate(REQUESTS_OF_ALL, clock)
        self._of_user = RequestRate(REQUESTS_OF_USER, clock)
        self._known = KnownLogins(clock)

    @web.middleware
    async def answer_safely(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a wrong host; an error says nothing of its cause, and the log never has a path.

        The web phone, whose page comes from a front end, may read each answer: without that it reports an unreachable server.
        """
        headers = {**HEADERS, **shared_with_phone(self._view(), request)}
        try:
            self._must_be_for_us(request)
            answer = await handler(request)
        except web.HTTPException as error:
            error.headers.update(headers)
            raise
        except UnusableDatabaseError as wrong:  # its place is for the log alone
            self._log.warning("request not served", what="the pages of invitations", why=str(wrong))
            later = unavailable(NOT_NOW, LATER_S)
            later.headers.update(headers)
            raise later from None
        except Exception as fault:  # noqa: BLE001 - a fault of ours ends this request only
            self._log.error("fault", what="the pages of invitations", exc_info=fault)
            raise web.HTTPInternalServerError(headers=headers) from None
        answer.headers.update(headers)
        return answer

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request against the user whose known login it shows, else against the address and all; refuse too many.

        What a phone asks first costs no more than a refusal. It is answered beyond the limit too, and the connection ends then.
        """
        user = self._known.user(request)
        request[_BY_USER] = bool(user)
        if user:
            self._count_of(user)
        elif not self._requests.admits(address_of(request)) or not self._of_all.admits(EVERYBODY):
            if not _asks_first(request):
                raise too_many()
            request.protocol.close()
        return await handler(request)

    def _count_of(self, user: str) -> None:
        if not self._of_user.admits(user):
            raise too_many()

    def judged(self, request: web.Request, user: str, ha1: str = "") -> None:
        """Remember that the login of a request is that of *user*; forget it if *user* is "", for a wrong one.

        A right login that was not known is counted against its user now, and no longer against the address and all. Raises HTTP
        429 for too many. *ha1* is what verifies a digest response.
        """
        if not user:
            self._known.forget(request)
            return
        if not request.get(_BY_USER, False):
            self._count_of(user)
            self._requests.give_back(address_of(request))
            self._of_all.give_back(EVERYBODY)
        self._known.keep(request, user, ha1)

    def _must_be_for_us(self, request: web.Request) -> None:
        view = self._view()
        listening = view.invitations
        if listening is None:
            raise web.HTTPNotFound
        if ascii_lower(request.host) not in {view.invitation_host, f"{view.name}:{listening[1]}"}:
            raise web.HTTPMisdirectedRequest(text=f"this is https://{view.invitation_host}\n")

    def failed(self, request: web.Request, why: str, text: str = "") -> web.HTTPException:
        """Count a wrong secret, and return the answer with *text*, by default about an invitation: the same for each reason."""
        address = address_of(request)
        if not self._failures.admits(address):
            return too_many()
        self._log.warning("file refused" if text else "invitation refused", address=address, why=why)
        return web.HTTPNotFound(text=text or NOT_OPEN)

    def wrong_login(
        self, request: web.Request, challenges: Sequence[str], *, is_counted: bool = True
    ) -> web.HTTPException:
        """Return the answer to a wrong login of a phone, with *challenges*: the same for each reason. It *is_counted*."""
        address = address_of(request)
        if is_counted and not self._failures.admits(address):
            return too_many()
        if is_counted:
            asked = request.match_info.route.resource  # the path itself may have the link of a file
            self._log.warning("phonebook refused", address=address, path=asked.canonical if asked is not None else "")
        refused = web.HTTPUnauthorized()
        for one in challenges:
            refused.headers.add("WWW-Authenticate", one)
        return refused

    def tell(self, what: str) -> None:
        """Tell the operator what keeps invitations from being taken."""
        self._log.error("invitation not taken", why=what)


def _asks_first(request: web.Request) -> bool:
    """Tell whether a phone sends a request before its login: a preflight of a browser, or what is answered by a challenge."""
    if request.method == "OPTIONS":
        return request.path.startswith(_OF_WEB_PHONE)
    is_for_login = request.path.startswith((CONTACTS, PHONEBOOK)) or (request.path, request.method) == (FILES, "POST")
    return is_for_login and "Authorization" not in request.headers


def phone_origins(view: ServerView) -> list[str]:
    """Return the web origins of the web phone, of each front-end pool."""
    topology = view.loaded.topology
    return [
        origin
        for pool in topology.pools
        if has_web_phone(topology, pool)
        for origin in reach_of(topology, pool.name, remote=False).web_phones
    ]


def shared_with_phone(view: ServerView, request: web.Request) -> Mapping[str, str]:
    """Return what lets the web phone read the answer to its *request*; nothing for a page of another site, and for a program."""
    origin = request.headers.get("Origin", "")
    known = origin and origin in phone_origins(view)
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if known else {}


def must_be_of_phone(view: ServerView, request: web.Request) -> None:
    """Raise HTTP 403 for a request that no page of the web phone has caused."""
    if not shared_with_phone(view, request):
        raise web.HTTPForbidden(text=OTHER_SITE)


OTHER_SITE: Final = "this is for the web phone of our front ends\n"
NOT_OPEN: Final = (
    "This link is not valid: it was used, it has expired, or it was revoked.\n"
    "Ask your administrator for a new invitation.\n"
)
