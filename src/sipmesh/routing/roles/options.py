"""The answer to OPTIONS for the server itself (RFC 3261 section 11.2)."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request

METHODS: Final = (
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, UPDATE, PRACK, INFO, REFER, NOTIFY, SUBSCRIBE, PUBLISH"
)


def capabilities(request: Request, allow_events: str = "") -> Answer:
    """Answer with the methods that this server forwards, and the event packages of which it is the notifier.

    A proxy has no body types of its own.

    The server answers as a user agent. So it refuses all required extensions: it has none (RFC 3261 section 8.2.2.3).
    """
    required = [tag for tag in request.items("require") if tag]
    if required:
        return Answer(420, headers=(("Unsupported", ", ".join(required)),))
    events = (("Allow-Events", allow_events),) if allow_events else ()
    return Answer(200, headers=(("Allow", METHODS), *events, ("Accept", "*/*"), ("Supported", "outbound")))
