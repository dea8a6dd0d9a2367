"""A body that is elsewhere (RFC 4483): a phone may fetch its URL, and so tell where it is, without asking its user."""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Final

from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.sip.names import BITS
from sipmesh.sip.text import LWS, ascii_lower

if TYPE_CHECKING:
    from mypy_extensions import i64

EXTERNAL: Final = "message/external-body"
PLAIN: Final = frozenset({"application/sdp", "text/plain"})
"""The types of nearly all bodies, in the usual spelling: they have no parts."""

_WITH_PARTS: Final = ("multipart/", "message/")
_CONTENT_TYPE: Final[i64] = BITS["content-type"]
_NAME: Final = b"external-body"
_PART: Final = re.compile(rb"content-type[ \t]*:\s*message[ \t]*/[ \t]*external-body")
"""In lower case: the type of a part, in a multipart body or in ``message/cpim``."""
_LOWER: Final = bytes.maketrans(ascii_uppercase.encode(), ascii_lowercase.encode())
_NO_BLANKS: Final = str.maketrans("", "", LWS)


def refused_indirection(request: Request) -> Answer | None:
    """Refuse a body, or a part of a body, that is elsewhere (415); None for all else.

    This is for clients, partners and edges, and for applications that send in the name of a user whose call they have screened.
    In its own name, an application of ours may name what its phones fetch.
    """
    if not request.body or not request.present & _CONTENT_TYPE:
        return None
    written = request.row(_CONTENT_TYPE).value
    if written in PLAIN or not is_elsewhere(written, request.body):
        return None
    return Answer(415, why=f"a body that is elsewhere ({EXTERNAL}): a phone may fetch it without asking its user")


def is_elsewhere(content_type: str, body: bytes) -> bool:
    """Tell whether *body* names a place instead of its content, or has a part that does."""
    kind = ascii_lower(content_type.partition(";")[0].partition("(")[0]).translate(_NO_BLANKS)
    if kind == EXTERNAL:
        return True
    if not kind.startswith(_WITH_PARTS):
        return False
    lowered = body.translate(_LOWER)
    return _NAME in lowered and _PART.search(lowered) is not None
