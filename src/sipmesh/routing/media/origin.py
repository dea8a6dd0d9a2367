"""The user name in the origin line of a session description: some phones write the name of their user there."""

from __future__ import annotations

import re
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.sip.message import Message
from sipmesh.sip.text import ascii_lower

_USER: Final = re.compile(rb"(\A|[\r\n])o=[^ \r\n]+ ")
_SIGNED: Final = "multipart/signed"


def hide_user_name(message: Message) -> None:
    """Write "-" for the user name in each session description (RFC 8866 section 5.2: "-" is nobody's name).

    It is the same in all descriptions of a call then, as RFC 3264 section 8 wants it. A body that is signed, or cannot be read,
    stays as it is.
    """
    if not message.body or _SIGNED in ascii_lower(message.first("content-type") or ""):
        return
    try:
        found = descriptions_in(message)
    except RemoteError:
        return
    body = message.body
    for description in found:
        body = body.replace(description, _USER.sub(rb"\1o=- ", description, count=1), 1)
    if body != message.body:
        message.body = body
        message.replace("content-length", str(len(body)))
