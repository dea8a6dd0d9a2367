"""What each page has in common: who may see it, how it is rendered, and how an error is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from math import log1p
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.access.guard import FORM_FIELD, LOGIN, OPERATOR, SESSION, form_of, must_come_from_our_pages
from sipmesh.server.console.network_map import HEIGHT
from sipmesh.server.console.operations import OFFICER, NotAllowedError
from sipmesh.server.console.operations import OPERATOR as OPERATOR_ROLE
from sipmesh.trust.evidence import Direction
from sipmesh.trust.formatting import tell_span, tell_time
from sipmesh.typed_json import UnreadableJsonError

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Guard, Handler
    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.console.operations import Operations
    from sipmesh.topology.view import ServerView


REFRESH_S: Final = 10
"""Seconds after which a page with live values is loaded again."""

Show = Callable[[web.Request], Awaitable[tuple[str, Mapping[str, Any]]]]
"""Reads what a page shows: the name of its template, and the values for it."""

Act = Callable[[web.Request, Mapping[str, str]], Awaitable[tuple[str, str]]]
"""Does what a form asks for: returns the path of the page to show next, and what has happened."""


class Frame:
    """Makes handlers of what pages show and of what forms do; *view* returns the topology in force."""

    def __init__(self, operations: Operations, guard: Guard, view: Callable[[], ServerView]) -> None:
        self._operations, self.guard, self.view = operations, guard, view
        self._templates = Environment(
            loader=PackageLoader("sipmesh.server.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= FILTERS
        self._templates.globals |= {"HEIGHT": HEIGHT, "REFRESH_S": REFRESH_S}

    async def read(self, request: web.Request, operation: str, /, **given: object) -> Any:
        """Run an operation for the operator of *request*; raises as `Operations.run` does."""
        return await self._operations.read(operation, request[OPERATOR], given)

    async def read_as(self, operator: Operator, operation: str, /, **given: object) -> Any:
        """Run an operation for *operator*; raises as `Operations.run` does."""
        return await self._operations.read(operation, operator, given)

    def render_part(self, template: str, **values: object) -> str:
        """Return a part of a page."""
        return self._templates.get_template(template).render(values)

    def page(self, show: Show) -> Handler:
        """Return the handler of a page, which a browser without a session does not see."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if self.guard.identify(request) is None:
                return see(LOGIN)
            try:
                template, values = await show(request)
            except (SipmeshError, NotAllowedError) as wrong:
                return self._say_wrong(request, wrong)
            return self.render(request, template, values)

        return answer

    def form(self, act: Act) -> Handler:
        """Return the handler of a form, which only a page of the same session can send."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if self.guard.identify(request) is None:
                return see(LOGIN)
            form = await form_of(request)
            must_come_from_our_pages(request, form.get(FORM_FIELD, ""))
            try:
                back, told = await act(request, form)
            except (SipmeshError, NotAllowedError) as wrong:
                return self._say_wrong(request, wrong)
            return self.render(request, "done.html", {"told": told, "back": back})

        return answer

    def _say_wrong(self, request: web.Request, wrong: Exception) -> web.Response:
        problems = [str(problem) for problem in wrong.problems] if isinstance(wrong, OperatorError) else []
        why = wrong.message if isinstance(wrong, OperatorError) else str(wrong)
        status = 403 if isinstance(wrong, NotAllowedError) else 400 if isinstance(wrong, UnreadableJsonError) else 409
        return self.render(request, "wrong.html", {"why": why, "problems": problems}, status=status)

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
            "now": datetime.now(UTC),
        }
        text = self._templates.get_template(template).render({**common, **values})
        return web.Response(text=text, content_type="text/html", status=status)


def see(path: str) -> web.Response:
    """Lead the browser to another page, which it gets with GET (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={"Location": path})


def _date_and_time(at: datetime) -> Markup:
    """Show an instant; a narrow column breaks it between date and time only."""
    date, _, time = tell_time(at).partition(" ")
    return Markup('<span class="whole">{}</span> <span class="whole">{}</span>').format(date, time)


def _who_opened(direction: str) -> str:
    """Say which end opened a link: that a link was accepted does not say that its peer was."""
    return "opened by the peer" if direction == Direction.ACCEPTED else "opened by us"


def _length_of_time(seconds: float) -> float:
    """Return the length of a bar for *seconds*: a day and ten years must both be seen, so the scale is logarithmic."""
    return log1p(max(seconds, 0) / 3600)


FILTERS: Final = {
    "time": _date_and_time,
    "span": tell_span,
    "length_of_time": _length_of_time,
    "who_opened": _who_opened,
}
"""How the templates show values."""
