"""One shape for each refusal of the API."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from sipmesh.server.console.access.api_refusal import in_json, is_of_api, reason_for, refusal_text


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/api", True), ("/api/", True), ("/api/v1/status", True), ("/apis", False), ("/", False), ("/x/api/", False)],
)
def test_path_says_whether_a_request_is_to_the_api(path: str, *, is_one: bool) -> None:
    assert is_of_api(path) is is_one


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (web.HTTPBadRequest(text="the body is not JSON\n"), "the body is not JSON"),
        (web.HTTPForbidden(), "403: Forbidden"),
        (web.HTTPNotFound(), "this path is not in the API: /api/v1/openapi.json has all operations"),
    ],
)
def test_refusal_keeps_its_status_and_gets_a_reason(refusal: web.HTTPException, error: str) -> None:
    status = refusal.status
    told = in_json(refusal)
    assert (told.status, told.content_type) == (status, "application/json")
    assert json.loads(told.text or "") == {"error": error, "problems": []}


def test_parser_that_knows_no_path_gives_a_reason_too() -> None:
    assert json.loads(refusal_text(reason_for(400), ["one"])) == {"error": reason_for(400), "problems": ["one"]}
    assert reason_for(431) == "the header of the request is too long"
