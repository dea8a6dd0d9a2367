"""Who the user is, in a session description: some phones write a name into its origin line or its session name."""

from __future__ import annotations

import re
from typing import Final, final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.sip.message import Message
from sipmesh.sip.text import LWS, ascii_lower

_USER: Final = re.compile(rb"(?<![^\r\n])o=[^\r\n]* (?=(?:[^ \r\n]+ ){4}[^ \r\n]+ *(?:[\r\n]|\Z))")
_NAME: Final = re.compile(rb"(?<![^\r\n])s=[^\r\n]+")
_PERSONAL: Final = re.compile(rb"(?<![^\r\n])[iuep]=[^\r\n]*(?:\r\n|[\r\n]|\Z)")
"""Information, URI, e-mail address and phone number (RFC 8866 sections 5.4 to 5.6)."""

_SIGNED: Final = "multipart/signed"


@final
class AnonymousBody:
    """The body of a message without its user, for all copies of the message: it is written once, for the first one."""

    __slots__ = ("_message", "_written")

    def __init__(self, message: Message) -> None:
        self._message = message
        self._written: bytes | None = None

    def put_into(self, copy: Message) -> None:
        """Write the body into *copy*, unless the body of the message was dropped since."""
        if not copy.body:
            return
        if self._written is None:
            self._written = without_user(self._message)
        if self._written is not self._message.body:
            copy.body = self._written
            copy.replace("content-length", str(len(self._written)))


def without_user(message: Message) -> bytes:
    """Give the body with "-" for user name and session name in each session description (RFC 8866 sections 5.2 and 5.3).

    The lines `i=`, `u=`, `e=` and `p=` are removed. They are the same in all descriptions of a call then, as RFC 3264 section 8
    wants it. A body that is signed, or cannot be read, stays as it is.
    """
    body = message.body
    if not body or ascii_lower(message.first("content-type") or "").strip(LWS).startswith(_SIGNED):
        return body
    try:
        found = descriptions_in(message)
    except RemoteError:
        return body
    for description in found:
        hidden = _PERSONAL.sub(b"", _NAME.sub(b"s=-", _USER.sub(b"o=- ", description, count=1), count=1))
        body = body.replace(description, hidden, 1)
    return body if body != message.body else message.body
