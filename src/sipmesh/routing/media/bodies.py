"""Find the session descriptions in the body of a message, also in the parts of a multipart body (RFC 5621, RFC 2046).

The reader refuses each body that a phone may read differently: what cannot be read is not forwarded (rule R12).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import param_of, parse_params
from sipmesh.sip.message import Message
from sipmesh.sip.status import Status
from sipmesh.sip.text import LWS, ascii_lower, has_control, is_token, text_of

MAX_PARTS: Final = 32
"""Parts of one body, with those inside of other parts."""
MAX_DEPTH: Final = 4
MAX_BODY: Final = 131_072
"""Octets of a body that agrees on media, as much as a client may send. Servers may send 5 MB: reading that takes a second."""

MAX_BOUNDARY: Final = 70  # RFC 2046 section 5.1.1
SDP: Final = "application/sdp"
MULTIPART: Final = "multipart/"
OPAQUE: Final = frozenset(
    {
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
        "application/pgp-encrypted",
        "message/external-body",
        "message/partial",
    }
)
"""Types whose content is encrypted, or is elsewhere (RFC 4483, RFC 2046 section 5.2): it may be a session description."""
PLAIN_ENCODINGS: Final = frozenset({"", "identity", "7bit", "8bit", "binary"})

_RULE: Final = "RFC 5621 section 3"
_MEDIA_LINE: Final = re.compile(rb"(?:\A|[\r\n\x00\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9])[ \t]*[mM][ \t]*=")
"""The start of a media line for the most tolerant reader of SDP, whose lines may end as those of Unicode do (U+0085, U+2028)."""
FEWEST_DELIMITERS: Final = 2
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_ROW_END: Final = re.compile("\r?\n")
_FOLD: Final = re.compile("\r?\n[ \t]+")


def descriptions_in(message: Message) -> list[bytes]:
    """Give each session description in the body of *message*; RemoteError (400 or 415) for a body that cannot be read.

    A body of another type is one too if a line of it looks like a media line.
    """
    if len(message.body) > MAX_BODY:
        raise RemoteError(f"a body above {MAX_BODY} octets", rule=_RULE)
    types = message.values("content-type")
    if len(types) > 1:
        raise RemoteError("a body with more than one Content-Type", rule=_RULE)
    _check_encoding(message.items("content-encoding"))
    found: list[bytes] = []
    if types == [SDP]:
        return [message.body]
    _collect(types[0] if types else "", message.body, found, [0], MAX_DEPTH)
    if found == [message.body]:
        return found
    if sum(_media_lines(body) for body in found) != _media_lines(message.body):
        raise RemoteError("a body with media lines outside of its session descriptions", rule=_RULE)
    return found


def _media_lines(octets: bytes) -> int:
    return len(_MEDIA_LINE.findall(octets))


def _collect(content_type: str, body: bytes, found: list[bytes], parts: list[int], depth: int) -> None:
    """Add the descriptions in *body* to *found*. *parts* has the number of parts that were read, *depth* what is left."""
    kind, params = _type_of(content_type)
    if kind.startswith(MULTIPART):
        if depth == 0:
            raise RemoteError(f"a body with parts in parts, deeper than {MAX_DEPTH}", rule=_RULE)
        for part in _parts(body, params):
            parts[0] += 1
            if parts[0] > MAX_PARTS:
                raise RemoteError(f"a body with more than {MAX_PARTS} parts", rule=_RULE)
            inner_type, content = _split_part(part)
            _collect(inner_type, content, found, parts, depth - 1)
    elif kind in OPAQUE:
        raise RemoteError(
            "a body that is encrypted or elsewhere: its media cannot be checked",
            rule=_RULE,
            status=Status.UNSUPPORTED_MEDIA_TYPE,
        )
    elif kind == SDP or _media_lines(body):
        found.append(body)


def _type_of(content_type: str) -> tuple[str, str]:
    """Give the media type in lower case without blanks, and the text of its parameters."""
    kind, _, params = content_type.partition(";")
    return ascii_lower(kind).replace(" ", "").replace("\t", ""), params


def _check_encoding(encodings: list[str]) -> None:
    for encoding in encodings:
        if ascii_lower(encoding.strip(LWS)) not in PLAIN_ENCODINGS:
            raise RemoteError(
                "a body in an encoding that cannot be read", rule=_RULE, status=Status.UNSUPPORTED_MEDIA_TYPE
            )


def _parts(body: bytes, params: str) -> list[bytes]:
    """Split a multipart body into its parts, each with its header (RFC 2046 section 5.1.1)."""
    boundary = param_of(parse_params(params, "Content-Type"), "boundary") or ""
    if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise RemoteError("a multipart body without a proper boundary", rule=_RULE)
    delimiter = rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"([^\r\n]*)(?=\r?\n|\Z)"
    lines = list(re.finditer(delimiter, body))
    tails = [line.group(1).strip(b" \t") for line in lines]
    if len(lines) < FEWEST_DELIMITERS or tails[-1] != b"--" or any(tails[:-1]):
        raise RemoteError("a multipart body whose delimiters cannot be read", rule=_RULE)
    return [body[line.end() : after.start()] for line, after in pairwise(lines)]


def _split_part(part: bytes) -> tuple[str, bytes]:
    """Give the Content-Type and the content of one part; RemoteError if its header cannot be read.

    *part* begins with the line end of its delimiter. A part without Content-Type is text/plain.
    """
    head, blank, content = _HEADER_END.sub(b"\r\n\r\n", part, count=1).partition(b"\r\n\r\n")
    if not blank:
        raise RemoteError("a part of a body without an end of its header", rule=_RULE)
    found: dict[str, str] = {}
    for row in _ROW_END.split(_FOLD.sub(" ", text_of(head)))[1:]:
        name, colon, value = row.partition(":")
        name = ascii_lower(name.rstrip(LWS))
        if not colon or not is_token(name) or has_control(value) or name in found:
            raise RemoteError("a part of a body with a header that cannot be read", rule=_RULE)
        found[name] = value.strip(LWS)
    _check_encoding([found.get("content-encoding", ""), found.get("content-transfer-encoding", "")])
    return found.get("content-type", "text/plain"), content
