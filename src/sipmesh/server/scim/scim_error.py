"""Errors as SCIM clients read them (RFC 7644 section 3.12)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp import web

MEDIA_TYPE: Final = "application/scim+json"
PATH: Final = "/scim/v2"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


def is_of_scim(path: str) -> bool:
    """Tell whether a request for *path*, without percent-encoding, is one of SCIM."""
    return path == PATH or path.startswith(f"{PATH}/")


def error_text(status: int, detail: str, kind: str = "") -> str:
    """Return the body of an error; *kind* is its scimType, "" without one."""
    more = {"scimType": kind} if kind else {}
    return json.dumps({"schemas": [ERROR], "status": str(status), **more, "detail": detail})


def in_scim(refusal: web.HTTPException) -> web.HTTPException:
    """Give *refusal* the body of an error of SCIM, with its own text as the detail."""
    if refusal.content_type != MEDIA_TYPE:
        detail = (refusal.text or refusal.reason).strip("\n")
        refusal.content_type = MEDIA_TYPE
        refusal.text = error_text(refusal.status, detail)
    return refusal
