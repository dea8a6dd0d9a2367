"""Problem documents of ACME (RFC 7807, RFC 8555 6.7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from sipmesh.errors import RemoteError

NAMESPACE: Final = "urn:ietf:params:acme:error:"
MEDIA_TYPE: Final = "application/problem+json"
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_KINDS: Final = {429: "rateLimited", 500: "serverInternal", 503: "serverInternal"}


class AcmeProblemError(RemoteError):
    """A request that is refused with the problem *kind*, a word of RFC 8555 section 6.7; the text is for its sender."""

    def __init__(
        self, kind: str, detail: str, status: int = 403, headers: Mapping[str, str] = NO_HEADERS, **more: object
    ) -> None:
        super().__init__(detail, rule="RFC 8555 6.7", status=status)
        self.kind, self.detail, self.headers, self.more = kind, detail, headers, more


def problem_text(kind: str, detail: str, status: int, more: Mapping[str, object] = MappingProxyType({})) -> str:
    """Return the problem document."""
    return json.dumps({"type": f"{NAMESPACE}{kind}", "detail": detail, "status": status, **more})


def in_problem(refusal: web.HTTPException) -> web.HTTPException:
    """Give *refusal* the body of a problem document, with its own text as the detail."""
    detail = (refusal.text or refusal.reason).strip("\n")
    refusal.content_type = MEDIA_TYPE
    refusal.text = problem_text(_KINDS.get(refusal.status, "malformed"), detail, refusal.status)
    return refusal
