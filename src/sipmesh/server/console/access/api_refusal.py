"""The refusals of the API: the router, the parser and the handlers answer with the same JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from aiohttp import web

API: Final = "/api"
CALLED: Final = "/api/v1/openapi.json has all operations"
_REASONS: Final = {
    404: f"this path is not in the API: {CALLED}",
    405: f"this operation has another method: {CALLED}",
    417: "no expectation but 100-continue is met: send the request without `Expect`",
    429: "too many requests: send it again after the seconds in Retry-After",
    431: "the header of the request is too long",
    500: "a fault of the server, which is in its log",
}


def is_of_api(path: str) -> bool:
    """Tell whether a request for *path*, without percent-encoding, is one to the API."""
    return path == API or path.startswith(f"{API}/")


def refusal_text(why: str, problems: Sequence[str] = ()) -> str:
    """Return the JSON object of a refusal."""
    return json.dumps({"error": why, "problems": list(problems)})


def in_json(refusal: web.HTTPException) -> web.HTTPException:
    """Give *refusal* the body of a refusal of the API; its own text is the reason, where the status says too little."""
    why = _REASONS.get(refusal.status) or (refusal.text or refusal.reason).strip("\n")
    refusal.content_type = "application/json"
    refusal.text = refusal_text(why)
    return refusal


def reason_for(status: int) -> str:
    """Return the reason for a *status* that the parser gives: it is not known then for which path the request is."""
    return _REASONS.get(status, "the request cannot be read: it is no HTTP/1.1 (RFC 9112)")
