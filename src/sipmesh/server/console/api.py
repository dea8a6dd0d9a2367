"""The HTTP API: each operation of the table at its path, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.access.guard import OPERATOR, Guard, must_come_from_our_pages
from sipmesh.server.console.openapi import openapi_document
from sipmesh.server.console.operations import TABLE, NotAllowedError, Operation, Operations
from sipmesh.server.console.parameters import typed
from sipmesh.server.control_socket import encode
from sipmesh.server.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Handler

PREFIX: Final = "/api/v1/"
FORM_HEADER: Final = "X-Form-Token"  # a page of the console sends it, other sites cannot
UNKNOWN: Final = "log in, send a token of the topology as Authorization: Bearer, or use a certificate of an operator"
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, CONFLICT = 400, 401, 403, 409


class Api:
    """Answers the API with *operations*; *guard* says who asks."""

    def __init__(self, operations: Operations, guard: Guard) -> None:
        self._operations, self._guard = operations, guard

    def __repr__(self) -> str:
        return f"<Api of {self._operations!r}>"

    def routes(self) -> list[web.RouteDef]:
        """Return every path of the API."""
        paths = [web.get(f"{PREFIX}openapi.json", self._document)]
        for operation in TABLE:
            method = web.post if operation.changes else web.get
            paths.append(method(f"{PREFIX}{operation.path}", self._handler(operation)))
        return paths

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
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="the body is not JSON\n") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object\n")
    return body


def _error(status: int, why: str, problems: list[str] | None = None) -> web.Response:
    return web.json_response({"error": why, "problems": problems or []}, status=status)
