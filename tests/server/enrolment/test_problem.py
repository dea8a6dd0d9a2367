"""Problem documents of ACME."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from sipmesh.server.enrolment.problem import in_problem, problem_text


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (web.HTTPTooManyRequests(), "rateLimited"),
        (web.HTTPNotFound(text="no\n"), "malformed"),
        (web.HTTPInternalServerError(), "serverInternal"),
    ],
)
def test_refusal_of_the_server_becomes_a_problem(refusal: web.HTTPException, kind: str) -> None:
    found = in_problem(refusal)
    body = json.loads(found.text or "")
    assert (found.content_type, body["type"]) == ("application/problem+json", f"urn:ietf:params:acme:error:{kind}")
    assert body["status"] == refusal.status
    assert body["detail"]


def test_further_members_are_in_the_document() -> None:
    assert json.loads(problem_text("badSignatureAlgorithm", "x", 400, {"algorithms": ["ES256"]}))["algorithms"]
