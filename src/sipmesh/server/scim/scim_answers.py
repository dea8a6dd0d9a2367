"""The answers to requests of SCIM clients, made in the thread of the syncs (RFC 7644 section 3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from scim2_models import Context, Error, InvalidSyntaxException, NotFoundException, ResponseParameters, SCIMException

from sipmesh.server.directory.entry_sync import TooManyLossesError
from sipmesh.server.scim.discovery import discovery, list_text
from sipmesh.server.scim.resources import MOST_RESULTS, PARAMETERS, kind_of
from sipmesh.server.scim.scim_directory import Asked, ScimDirectory
from sipmesh.server.scim.scim_error import error_text
from sipmesh.server.scim.scim_request import NotAllowedError, ScimAnswer, ScimRequest, must_be_one_of
from sipmesh.sip.text import ascii_lower, is_digits
from sipmesh.storage.users.scim_resource import ScimKind
from sipmesh.strict_json import read_object

if TYPE_CHECKING:
    from scim2_models import Resource

    from sipmesh.server.directory.sync import DirectorySync
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded

KINDS: Final = {f"{kind}s": kind for kind in ScimKind}
SEARCH: Final = ".search"
MOST_FIRST: Final = 10_000_000


def scim_answer_to(
    request: ScimRequest,
    loaded: Loaded,
    users: Users,
    sync: DirectorySync,
    is_accepted: bool,  # noqa: FBT001 - the callback of `with_scim`
) -> ScimAnswer:
    """Answer *request*; raises `OperatorError` for a fault that is not one of the client."""
    try:
        asked = Asked(request.at, request.base, request.if_match, accept_loss=is_accepted)
        return _answer(request, ScimDirectory(loaded, users, sync), asked)
    except NotAllowedError as wrong:
        return ScimAnswer(405, error_text(405, str(wrong)), {"Allow": wrong.allowed})
    except SCIMException as wrong:
        return ScimAnswer(wrong.status, error_text(wrong.status, wrong.detail, wrong.scim_type))
    except ValidationError as wrong:
        first = Error.from_validation_errors(wrong)[0]
        status, kind = first.status or 400, first.scim_type or ""
        return ScimAnswer(status, error_text(status, first.detail or "the resource is not valid", kind))
    except TooManyLossesError as wrong:
        return ScimAnswer(403, error_text(403, wrong.message), losses=wrong.message)


def _answer(request: ScimRequest, directory: ScimDirectory, asked: Asked) -> ScimAnswer:
    if request.path in {(), (SEARCH,)}:
        return _searched(tuple(ScimKind), request, directory, asked)
    kind = KINDS.get(request.path[0])
    if kind is None:
        return discovery(request)
    if len(request.path) > 2:  # noqa: PLR2004 - a kind and an id
        raise NotFoundException(detail="there is no such path")
    if len(request.path) == 1:
        must_be_one_of(request, ("GET", "POST"))
        return (
            _page((kind,), request, directory, asked)
            if request.method == "GET"
            else _made(kind, request, directory, asked)
        )
    if request.path[1] == SEARCH:
        return _searched((kind,), request, directory, asked)
    must_be_one_of(request, ("GET", "PUT", "PATCH", "DELETE"))
    return _one(kind, request.path[1], request, directory, asked)


def _made(kind: ScimKind, request: ScimRequest, directory: ScimDirectory, asked: Asked) -> ScimAnswer:
    made = directory.create(kind, _body(request), asked)
    return _shown(kind, made, request, Context.RESOURCE_CREATION_RESPONSE, 201)


def _one(kind: ScimKind, resource_id: str, request: ScimRequest, directory: ScimDirectory, asked: Asked) -> ScimAnswer:
    if request.method == "GET":
        return _shown(kind, directory.get(kind, resource_id, asked), request, Context.RESOURCE_QUERY_RESPONSE)
    if request.method == "PUT":
        made = directory.replace(kind, resource_id, _body(request), asked)
        return _shown(kind, made, request, Context.RESOURCE_REPLACEMENT_RESPONSE)
    if request.method == "PATCH":
        made = directory.patch(kind, resource_id, _body(request), asked)
        return _shown(kind, made, request, Context.RESOURCE_PATCH_RESPONSE)
    directory.delete(kind, resource_id, asked)
    return ScimAnswer(204)


def _body(request: ScimRequest) -> dict[str, Any]:
    try:
        found = read_object(request.body)
        json.dumps(found, ensure_ascii=False).encode()  # half a character (a surrogate) can be stored nowhere
    except ValueError as wrong:
        raise InvalidSyntaxException(detail=f"the body is no JSON object: {wrong}") from None
    return found


def _searched(kinds: Sequence[ScimKind], request: ScimRequest, directory: ScimDirectory, asked: Asked) -> ScimAnswer:
    """Answer a question about several types of resources, and a question in a body."""
    in_body = request.path[-1:] == (SEARCH,)
    must_be_one_of(request, ("POST",) if in_body else ("GET",))
    return _page(kinds, _asked_by_body(request) if in_body else request, directory, asked)


def _asked_by_body(request: ScimRequest) -> ScimRequest:
    """Read a question in a body as one in the query (RFC 7644 section 3.4.3)."""
    query = {
        key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in _body(request).items()
    }
    return replace(request, query=query)


def _parameters(kind: ScimKind, request: ScimRequest) -> ResponseParameters[Any]:
    """Return which attributes the answer has (RFC 7644 section 3.9)."""
    given = {key: request.query[key] for key in ("attributes", "excludedAttributes") if request.query.get(key)}
    return PARAMETERS[kind].model_validate(given)


def _shown(
    kind: ScimKind, resource: Resource[Any], request: ScimRequest, context: Context, status: int = 200
) -> ScimAnswer:
    meta = resource.meta
    assert meta is not None  # noqa: S101 - each row has one
    headers = {"ETag": str(meta.version), "Location": str(meta.location)}
    told = resource.model_dump(scim_ctx=context, response_parameters=_parameters(kind, request))
    return ScimAnswer(status, json.dumps(told), headers)


def _page(kinds: Sequence[ScimKind], request: ScimRequest, directory: ScimDirectory, asked: Asked) -> ScimAnswer:
    first, most = max(_number(request, "startIndex", 1), 1), min(_number(request, "count", MOST_RESULTS), MOST_RESULTS)
    wanted = {kind: _parameters(kind, request) for kind in kinds}
    without = {ascii_lower(str(path)) for one in wanted.values() for path in one.excluded_attributes or ()}
    text = request.query.get("filter", "")
    page = directory.page(kinds, text, first - 1, most, asked, members="members" not in without)
    told = [
        one.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=wanted[kind_of(one)])
        for one in page.resources
    ]
    return ScimAnswer(200, list_text(told, page.total, first))


def _number(request: ScimRequest, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return min(int(text), MOST_FIRST) if is_digits(text) and len(text) < 10 else (default if not text else 0)  # noqa: PLR2004
