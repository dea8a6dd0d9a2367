"""The pages of the console: HTML that works without JavaScript, from the same operations as the API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import log1p
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.admin.replies import EXPLAIN, LINKS, REFUSED
from sipmesh.server.console.access.guard import (
    COOKIE,
    FORM_FIELD,
    OPERATOR,
    SESSION,
    Guard,
    form_of,
    must_come_from_our_pages,
)
from sipmesh.server.console.network_map import HEIGHT, WIDTH, network_map
from sipmesh.server.console.operations import (
    AUDIT,
    CERTIFICATES,
    OFFICER,
    PARTNERS,
    REVOKE,
    USERS,
    NotAllowedError,
    Operations,
    operation_of,
    typed,
)
from sipmesh.server.console.operations import (
    OPERATOR as OPERATOR_ROLE,
)
from sipmesh.server.control_socket import Encoded
from sipmesh.server.management.publishing.publish import read_draft
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.server.management.replies import (
    BLOCK,
    HISTORY,
    NETWORK,
    PLAN,
    PUBLISH,
    ROLLBACK,
    VERSION,
    NetworkReply,
    Plan,
)
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.typed_json import UnreadableJsonError, read
from sipmesh.trust.formatting import tell_span, tell_time

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Handler
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.view import ServerView

STATIC: Final = Path(__file__).with_name("static")
LOGIN: Final = "/login"

Show = Callable[[web.Request], Awaitable[tuple[str, Mapping[str, Any]]]]
"""Reads what a page shows: the name of its template, and the values for it."""

Act = Callable[[web.Request, Mapping[str, str]], Awaitable[tuple[str, str]]]
"""Does what a form asks for: returns the path of the page to show next, and what has happened."""


class Pages:
    """The pages of one console; *view* returns the topology in force."""

    def __init__(self, operations: Operations, guard: Guard, view: Callable[[], ServerView]) -> None:
        self._operations, self._guard, self._view = operations, guard, view
        self._templates = Environment(
            loader=PackageLoader("sipmesh.server.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= {"time": tell_time, "span": tell_span, "length_of_time": _length_of_time}
        self._templates.globals |= {"WIDTH": WIDTH, "HEIGHT": HEIGHT}

    def __repr__(self) -> str:
        return f"<Pages of {self._view().name}>"

    def routes(self) -> list[web.RouteDef | web.StaticDef]:
        """Return every page, every form, and the static files."""
        shown: dict[str, Show] = {
            "/": self._map,
            "/status": self._status,
            "/servers/{name}": self._server,
            "/versions": self._versions,
            "/versions/{number}": self._version,
            "/certificates": self._certificates,
            "/users": self._users,
            "/partners": self._partners,
            "/refused": self._refused,
            "/links/{id}": self._link,
            "/audit": self._audit,
        }
        done: dict[str, Act] = {
            "/publish": self._publish,
            "/rollback": self._roll_back,
            "/block": self._block,
            "/revoke": self._revoke,
        }
        return [
            web.get(LOGIN, self._login_form),
            web.post(LOGIN, self._log_in),
            web.post("/logout", self._log_out),
            web.static("/static", STATIC),
            *(web.get(path, self._page(show)) for path, show in shown.items()),
            *(web.post(path, self._form(act)) for path, act in done.items()),
        ]

    # Logging in

    async def _login_form(self, request: web.Request) -> web.Response:
        return self._render(request, "login.html", {"failed": False})

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        """Begin a session with a code. The code is in the body, so it is in no URL and in no log of one."""
        self._guard.must_have_failures_left(request)
        code = (await form_of(request)).get("code", "").strip(" ")
        secret = self._guard.operators.log_in(code)
        if secret is None:
            self._guard.failed(request)
            return self._render(request, "login.html", {"failed": True}, status=401)
        answer = _see("/")
        answer.set_cookie(COOKIE, secret, path="/", secure=True, httponly=True, samesite="Strict")
        return answer

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        if self._guard.identify(request) is not None:
            must_come_from_our_pages(request, (await form_of(request)).get(FORM_FIELD, ""))
            self._guard.operators.log_out(request.cookies.get(COOKIE, ""))
        answer = _see(LOGIN)
        answer.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return answer

    # Frames for pages and forms

    def _page(self, show: Show) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if self._guard.identify(request) is None:
                return _see(LOGIN)
            try:
                template, values = await show(request)
            except SipmeshError as wrong:
                return self._say_wrong(request, wrong)
            return self._render(request, template, values)

        return answer

    def _form(self, act: Act) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if self._guard.identify(request) is None:
                return _see(LOGIN)
            form = await form_of(request)
            must_come_from_our_pages(request, form.get(FORM_FIELD, ""))
            try:
                back, told = await act(request, form)
            except (SipmeshError, NotAllowedError) as wrong:
                return self._say_wrong(request, wrong)
            return self._render(request, "done.html", {"told": told, "back": back})

        return answer

    def _say_wrong(self, request: web.Request, wrong: Exception) -> web.Response:
        problems = [str(problem) for problem in wrong.problems] if isinstance(wrong, OperatorError) else []
        why = wrong.message if isinstance(wrong, OperatorError) else str(wrong)
        status = 403 if isinstance(wrong, NotAllowedError) else 400 if isinstance(wrong, UnreadableJsonError) else 409
        return self._render(request, "wrong.html", {"why": why, "problems": problems}, status=status)

    def _render(
        self, request: web.Request, template: str, values: Mapping[str, Any], status: int = 200
    ) -> web.Response:
        session, operator = request.get(SESSION), request.get(OPERATOR)
        view = self._view()
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

    async def _read(self, request: web.Request, operation: str, /, **given: object) -> Any:
        return await self._operations.read(operation, request[OPERATOR], given)

    async def _network(self, request: web.Request) -> NetworkReply:
        reply: NetworkReply | Encoded = await self._read(request, NETWORK.name)
        return read(NetworkReply, json.loads(reply.json)) if isinstance(reply, Encoded) else reply

    # What pages show

    async def _map(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, wrong = await self._network(request), ""
        draft: Topology | None = None
        try:
            draft = (await off_loop(read_draft, self._view().loaded.folder / DRAFT)).loaded.topology
        except OperatorError as error:
            wrong = error.message
        drawing = network_map(self._view().loaded.topology, network, draft)
        return "map.html", {"map": drawing, "network": network, "draft_wrong": wrong}

    async def _status(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "status.html", {"network": await self._network(request)}

    async def _server(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, name = await self._network(request), request.match_info["name"]
        known = {report.server: report for report in (network.master, *network.servers)}
        if name not in known:
            raise SipmeshError(f"{name} is not a server of the topology in force")
        links = await self._read(request, LINKS.name) if name == self._view().name else []
        return "server.html", {"report": known[name], "newest": network.version, "links": links}

    async def _versions(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        plan: Plan | None = None
        wrong: list[str] = []
        try:
            plan = await self._read(request, PLAN.name)
        except OperatorError as error:
            wrong = [error.message, *map(str, error.problems)]
        versions = await self._read(request, HISTORY.name)
        return "versions.html", {"plan": plan, "wrong": wrong, "versions": list(reversed(versions))}

    async def _version(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        number = request.match_info["number"]
        given = typed(operation_of(VERSION.name).given, {"version": number})
        return "version.html", {"number": number, "published": await self._read(request, VERSION.name, **given)}

    async def _certificates(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        stock = await self._read(request, CERTIFICATES)
        longest = max((entry.left_s or 0 for entry in stock.entries), default=0) or 1
        return "certificates.html", {"stock": stock, "longest": longest}

    async def _users(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "users.html", {"known": await self._read(request, USERS)}

    async def _partners(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "partners.html", {"partners": await self._read(request, PARTNERS)}

    async def _refused(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "refused.html", {
            "here": await self._read(request, REFUSED.name),
            "network": await self._network(request),
        }

    async def _link(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        link = request.match_info["id"]
        return "link.html", {"id": link, "explained": await self._read(request, EXPLAIN.name, id=link)}

    async def _audit(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "audit.html", {"audit": await self._read(request, AUDIT)}

    # What forms do

    async def _publish(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        done = await self._do(request, PUBLISH.name, form, ("why", "base", "digest"))
        return "/versions", f"Version {done.version} is published and in force on management."

    async def _roll_back(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        done = await self._do(request, ROLLBACK.name, form, ("version", "base", "why"))
        return "/versions", f"Version {done.version} is published: it has the content of version {form['version']}."

    async def _do(self, request: web.Request, name: str, form: Mapping[str, str], fields: Sequence[str]) -> Any:
        """Run an operation with *fields* of a form; a box says whether to force it."""
        given = typed(operation_of(name).given, {field: form.get(field, "") for field in fields})
        return await self._read(request, name, **given, force=form.get("force") == "yes")

    async def _block(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        _must_be_sure(form)
        done = await self._read(request, BLOCK.name, name=form.get("name", ""))
        return "/partners", f"{form.get('name', '')} is blocked in version {done.version}."

    async def _revoke(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        _must_be_sure(form)
        done = await self._read(
            request, REVOKE, serial=form.get("serial", ""), reason=form.get("reason", "unspecified")
        )
        return "/certificates", f"The certificate {done.serial} of {done.server} is revoked ({done.reason})."


def _see(path: str) -> web.Response:
    """Lead the browser to another page, which it gets with GET (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={"Location": path})


def _length_of_time(seconds: float) -> float:
    """Return the length of a bar for *seconds*: a day and ten years must both be seen, so the scale is logarithmic."""
    return log1p(max(seconds, 0) / 3600)


def _must_be_sure(form: Mapping[str, str]) -> None:
    """Refuse a form that closes links if its box is not ticked."""
    if form.get("sure") != "yes":
        raise SipmeshError("tick the box `sure`: this closes live links")
