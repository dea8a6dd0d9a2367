"""The answer to OPTIONS for the server itself (RFC 3261 section 11.2)."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request

METHODS: Final = (
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, UPDATE, PRACK, INFO, REFER, NOTIFY, SUBSCRIBE, PUBLISH"
)


def capabilities(request: Request) -> Answer:
    """Say what passes through here; a proxy lists no body types of its own.

    We answer as the user agent that was asked, so an extension that it requires has to be one we know (section 8.2.2.3).
    """
    required = [tag for tag in request.items("require") if tag]
    if required:
        return Answer(420, headers=(("Unsupported", ", ".join(required)),))
    return Answer(200, headers=(("Allow", METHODS), ("Accept", "*/*"), ("Supported", "outbound")))
