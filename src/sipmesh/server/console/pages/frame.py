"""What each page has in common: who may see it, how it is rendered, and how an error is shown."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from math import log1p
from string import hexdigits
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.access.guard import FORM_FIELD, LOGIN, OPERATOR, SESSION, form_of, must_come_from_our_pages
from sipmesh.server.console.operations import OFFICER, NotAllowedError
from sipmesh.server.console.operations import OPERATOR as OPERATOR_ROLE
from sipmesh.server.console.pages.form import UnfitFieldsError
from sipmesh.server.console.pages.navigation import GROUPS, place_of
from sipmesh.server.control_socket import Encoded
from sipmesh.server.management.replies import NETWORK, NetworkReply
from sipmesh.server.openid.code_flow import PENDING_S
from sipmesh.strict_json import read_json
from sipmesh.trust.evidence import Direction
from sipmesh.trust.formatting import tell_span, tell_time, tell_value
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Handler
    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.console.operations import Operations
    from sipmesh.topology.view import ServerView


NOT_FOUND: Final = 404
_COMMAND: Final = re.compile(r"(?<=: )(sipmesh [a-z][^;,]*)")
SHORT: Final = 12
DIGITS: Final = 32
"""Digits from which on a hexadecimal text is shortened."""

SECONDS_NOW: Final = 5
"""Seconds up to which an instant is now."""

REFRESH_S: Final = 10
"""Seconds after which a page with live values is loaded again."""

Show = Callable[[web.Request], Awaitable[tuple[str, Mapping[str, Any]]]]
"""Reads what a page shows: the name of its template, and the values for it."""


class PageForm(Protocol):
    """A form that a page sends."""

    @property
    def template(self) -> str:
        """The template of the page with the form."""

    def must_be_for(self, operator: Operator) -> None:
        """Raise `NotAllowedError` if *operator* may not send it."""

    async def act(self, request: web.Request, sent: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
        """Do what the form asks for: return the template of the next page, with its values."""

    def refused(self, sent: Mapping[str, str], wrong: Exception) -> Mapping[str, Any]:
        """Return what its page shows after *wrong*, with what was *sent*."""


class Identifies(Protocol):
    """Decides who makes a request."""

    def identify(self, request: web.Request) -> Operator | None:
        """Find who makes *request*; None for a browser without a session."""


class Frame:
    """Makes handlers of what pages show and of what forms do; *view* returns the topology in force.

    A browser that *guard* does not know is led to *login*. *made* are the templates, those of the console by default. Errors
    that are *not_shown* are raised on.
    """

    def __init__(
        self,
        operations: Operations,
        guard: Identifies,
        view: Callable[[], ServerView],
        login: str = LOGIN,
        made: Environment | None = None,
        not_shown: tuple[type[SipmeshError], ...] = (),
    ) -> None:
        self._not_shown = not_shown
        self._operations, self.guard, self.view, self._login = operations, guard, view, login
        self._templates = made if made is not None else templates()

    async def read(self, request: web.Request, operation: str, /, **given: object) -> Any:
        """Run an operation for the operator of *request*; raises as `Operations.run` does."""
        return await self._operations.read(operation, request[OPERATOR], given)

    async def read_as(self, operator: Operator, operation: str, /, **given: object) -> Any:
        """Run an operation for *operator*; raises as `Operations.run` does."""
        return await self._operations.read(operation, operator, given)

    async def network(self, request: web.Request) -> NetworkReply:
        """Return every server and its last report."""
        reply: NetworkReply | Encoded = await self.read(request, NETWORK.name)
        return read(NetworkReply, read_json(reply.json)) if isinstance(reply, Encoded) else reply

    def render_part(self, template: str, **values: object) -> str:
        """Return a part of a page."""
        return self._templates.get_template(template).render(values)

    def page(self, show: Show) -> Handler:
        """Return the handler of a page, which a browser without a session does not see."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if self.guard.identify(request) is None:
                return see(self._login)
            try:
                template, values = await show(request)
            except self._not_shown:
                raise
            except (SipmeshError, NotAllowedError) as wrong:
                return self.say_wrong(request, wrong)
            return self.render(request, template, values)

        return answer

    def form(self, form: PageForm) -> Handler:
        """Return the handler of a form, which only a page of the same session can send.

        A form that is refused is shown again, with what was typed and with the reason.
        """

        async def answer(request: web.Request) -> web.StreamResponse:
            if self.guard.identify(request) is None:
                return see(self._login)
            sent = await form_of(request)
            try:
                form.must_be_for(request[OPERATOR])
                must_come_from_our_pages(request, sent.get(FORM_FIELD, ""))
                template, values = await form.act(request, sent)
            except NotAllowedError as wrong:
                return self.say_wrong(request, wrong)
            except self._not_shown:
                raise
            except (SipmeshError, web.HTTPForbidden) as wrong:
                return self.render(
                    request, form.template, {**form.refused(sent, wrong), **_why(wrong)}, status=_status(wrong)
                )
            return self.render(request, template, values)

        return answer

    async def missing(self, request: web.Request) -> web.StreamResponse:
        """Answer for a path that no page has; a browser without a session is led to the log-in, as from each page."""
        if self.guard.identify(request) is None:
            return see(self._login)
        return self.render(request, "missing.html", {}, status=NOT_FOUND)

    def say_wrong(self, request: web.Request, wrong: Exception) -> web.Response:
        """Return a page with the reason."""
        values = {**_why(wrong), "act": request.method == "POST"}
        return self.render(request, "wrong.html", values, status=_status(wrong))

    def render(self, request: web.Request, template: str, values: Mapping[str, Any], status: int = 200) -> web.Response:
        """Return a page with *values*, and with what every page needs."""
        session, operator = request.get(SESSION), request.get(OPERATOR)
        view = self.view()
        common = {
            "organisation": view.loaded.topology.organisation,
            "server": view.name,
            "version": view.loaded.number,
            "operator": operator,
            "form_token": session.form_token if session is not None else "",
            "may_operate": operator is not None and operator.role.may(OPERATOR_ROLE),
            "may_revoke": operator is not None and operator.role.may(OFFICER),
            "path": request.path,
            "place": place_of(request.path),
            "now": datetime.now(UTC),
        }
        text = self._templates.get_template(template).render({**common, **values})
        return web.Response(text=text, content_type="text/html", status=status)


def see(path: str) -> web.Response:
    """Lead the browser to another page, which it gets with GET (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={"Location": path})


def see_provider(address: str, cookie: str, browser: str) -> web.Response:
    """Lead a browser to the OpenID provider at *address*; *cookie* has the secret *browser*, which binds the answer to it.

    The provider is another site: of cookies, a browser brings only those that are Lax from there.
    """
    answer = see(address)
    answer.set_cookie(cookie, browser, max_age=int(PENDING_S), path="/", secure=True, httponly=True, samesite="Lax")
    return answer


def _why(wrong: Exception) -> Mapping[str, Any]:
    """Return what a page says about an error."""
    if isinstance(wrong, OperatorError):
        return {"why": wrong.message, "problems": [str(problem) for problem in wrong.problems]}
    return {"why": wrong.text if isinstance(wrong, web.HTTPForbidden) else str(wrong), "problems": []}


class UnknownNameError(SipmeshError):
    """The page is of a server, partner or application that the topology in force does not have."""


def _status(wrong: Exception) -> int:
    if isinstance(wrong, UnknownNameError):
        return NOT_FOUND
    if isinstance(wrong, (NotAllowedError, web.HTTPForbidden)):
        return 403
    return 400 if isinstance(wrong, (UnreadableJsonError, UnfitFieldsError)) else 409


def _ago(at: datetime) -> Markup:
    """Show how long ago an instant is, or how long it takes until then; the exact time is there on hover."""
    seconds = int((datetime.now(UTC) - at).total_seconds())
    span = tell_span(abs(seconds)).split(" ")
    told = "now" if abs(seconds) < SECONDS_NOW else " ".join(span[:2])
    words = told if told == "now" else f"in {told}" if seconds < 0 else f"{told} ago"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), tell_time(at), words)


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M}Z"


def _digest(text: str) -> Markup:
    """Show a serial number or a digest: the style shortens it, and the script copies it."""
    if len(text) <= SHORT:
        return Markup("<code>{}</code>").format(text)
    code = Markup('<code title="{0}">{0}</code>').format(text)
    button = Markup('<button type="button" class="copy" data-copy="{}">Copy</button>').format(text)
    return Markup('<span class="digest">{}{}</span>').format(code, button)


def _shortened(value: object) -> Markup:
    """Show a value of the audit log: the items of a list or an object, and the beginning of a digest."""
    text = tell_value(value)
    return _digest(text) if len(text) >= DIGITS and set(text) <= set(hexdigits) else Markup("{}").format(text)


def _commands(remedy: str) -> Markup:
    """Show a remedy: its commands look like commands. Each of them follows a colon."""
    code, parts = Markup("<code>{}</code>"), _COMMAND.split(remedy)
    return Markup("").join(code.format(part) if number % 2 else part for number, part in enumerate(parts))


def _who_opened(direction: str) -> str:
    """Say which end opened a link: that a link was accepted does not say that its peer was."""
    return "opened by the peer" if direction == Direction.ACCEPTED else "opened by us"


def _length_of_time(seconds: float) -> float:
    """Return the length of a bar for *seconds*: a day and ten years must both be seen, so the scale is logarithmic."""
    return log1p(max(seconds, 0) / 3600)


FILTERS: Final = {
    "time": _ago,
    "instant": tell_time,
    "clock": _clock,
    "digest": _digest,
    "shortened": _shortened,
    "commands": _commands,
    "span": tell_span,
    "length_of_time": _length_of_time,
    "who_opened": _who_opened,
}
"""How the templates show values."""


@cache
def templates() -> Environment:
    """Return the templates, which a process compiles once: the console begins again with each version that changes it."""
    made = Environment(
        loader=PackageLoader("sipmesh.server.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters |= FILTERS
    made.globals |= {"REFRESH_S": REFRESH_S, "groups": GROUPS}
    return made
