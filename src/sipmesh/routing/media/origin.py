"""Who the user is, in a session description: some phones write a name into its origin line or its session name."""

from __future__ import annotations

import re
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.sip.message import Message
from sipmesh.sip.text import LWS, ascii_lower

_USER: Final = re.compile(rb"(?<![^\r\n])o=[^\r\n]* (?=(?:[^ \r\n]+ ){4}[^ \r\n]+ *(?:[\r\n]|\Z))")
_NAME: Final = re.compile(rb"(?<![^\r\n])s=[^\r\n]+")
_PERSONAL: Final = re.compile(rb"(?<![^\r\n])[iuep]=[^\r\n]*(?:\r\n|[\r\n]|\Z)")
"""Information, URI, e-mail address and phone number (RFC 8866 sections 5.4 to 5.6)."""

_SIGNED: Final = "multipart/signed"


def hide_user(message: Message) -> None:
    """Write "-" for user name and session name in each session description (RFC 8866 sections 5.2 and 5.3).

    The lines `i=`, `u=`, `e=` and `p=` are removed. They are the same in all descriptions of a call then, as RFC 3264 section 8
    wants it. A body that is signed, or cannot be read, stays as it is.
    """
    if not message.body or ascii_lower(message.first("content-type") or "").strip(LWS).startswith(_SIGNED):
        return
    try:
        found = descriptions_in(message)
    except RemoteError:
        return
    body = message.body
    for description in found:
        hidden = _PERSONAL.sub(b"", _NAME.sub(b"s=-", _USER.sub(b"o=- ", description, count=1), count=1))
        body = body.replace(description, hidden, 1)
    if body != message.body:
        message.body = body
        message.replace("content-length", str(len(body)))
