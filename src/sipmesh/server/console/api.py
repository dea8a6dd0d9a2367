"""The HTTP API: each operation of the table at its path, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.web_urldispatcher import SystemRoute

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.access.api_refusal import API, in_json, refusal_text
from sipmesh.server.console.access.guard import HEADERS, OPERATOR, Guard, must_come_from_our_pages
from sipmesh.server.console.openapi import openapi_document
from sipmesh.server.console.operations import TABLE, NotAllowedError, Operation, Operations
from sipmesh.server.console.parameters import typed
from sipmesh.server.control_socket import encode
from sipmesh.strict_json import read_object
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Handler

PREFIX: Final = f"{API}/v1/"
DOCUMENT: Final = f"{PREFIX}openapi.json"
METHODS: Final = {
    DOCUMENT: ("GET", "HEAD"),
    **{f"{PREFIX}{one.path}": ("POST",) if one.changes else ("GET", "HEAD") for one in TABLE},
}
EXPECTING: Final = SystemRoute(web.HTTPNotFound())
"""A route with the handler of ``Expect`` (RFC 9110 section 10.1.1) that aiohttp has for every route."""

FORM_HEADER: Final = "X-Form-Token"  # a page of the console sends it, other sites cannot
UNKNOWN: Final = "log in, send a token of the topology as Authorization: Bearer, or use a certificate of an operator"
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, CONFLICT = 400, 401, 403, 409


class Api:
    """Answers the API with *operations*; *guard* says who asks."""

    def __init__(self, operations: Operations, guard: Guard) -> None:
        self._operations, self._guard = operations, guard

    def routes(self) -> list[web.RouteDef]:
        """Return every path of the API."""
        paths = [web.get(DOCUMENT, self._document, expect_handler=_met)]
        for operation in TABLE:
            method = web.post if operation.changes else web.get
            paths.append(method(f"{PREFIX}{operation.path}", self._handler(operation), expect_handler=_met))
        return [*paths, web.route("*", API + "{rest:(/.*)?}", _refuse, expect_handler=_met)]

    async def _document(self, _request: web.Request) -> web.Response:
        return web.json_response(openapi_document())

    def _handler(self, operation: Operation) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            operator = self._guard.identify_program(request)
            if operator is None:
                return _error(UNAUTHORIZED, UNKNOWN)
            try:
                given = read(operation.given, await _parameters(request, operation))
                result = await self._operations.run(operation, request[OPERATOR], given)
            except NotAllowedError as wrong:
                return _error(FORBIDDEN, str(wrong))
            except UnreadableJsonError as wrong:
                return _error(BAD_REQUEST, f"the parameters cannot be read: {wrong}")
            except OperatorError as wrong:
                problems = [str(problem) for problem in wrong.problems]
                return _error(CONFLICT, wrong.message, problems)
            except SipmeshError as wrong:
                return _error(CONFLICT, str(wrong))
            return web.Response(body=encode(result), content_type="application/json")

        return answer


async def _parameters(request: web.Request, operation: Operation) -> Mapping[str, Any]:
    """Return the parameters: of a change the JSON object in the body, otherwise those of the query; raises HTTP errors."""
    if not operation.changes:
        return typed(operation.given, request.query)
    must_come_from_our_pages(request, request.headers.get(FORM_HEADER, ""))
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json\n")
    try:
        return read_object(await request.read())
    except ValueError as wrong:
        raise web.HTTPBadRequest(text=f"the body is not a JSON object: {wrong}") from None


def _error(status: int, why: str, problems: Sequence[str] = ()) -> web.Response:
    return web.Response(text=refusal_text(why, problems), status=status, content_type="application/json")


async def _refuse(request: web.Request) -> web.StreamResponse:
    """Refuse a path or a method that is in no operation; raises HTTP 404 or 405."""
    methods = METHODS.get(request.path)
    raise web.HTTPMethodNotAllowed(request.method, methods) if methods else web.HTTPNotFound


async def _met(request: web.Request) -> web.StreamResponse | None:
    """Meet what a request expects, as every route of aiohttp does; raises HTTP 417."""
    try:
        return await EXPECTING.handle_expect_header(request)
    except web.HTTPException as refusal:
        refusal.headers.update(HEADERS)
        raise in_json(refusal) from None
