"""The answer to OPTIONS for the server itself (RFC 3261 section 11.2)."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.events.packages import ALLOW_EVENTS
from sipmesh.routing.outcome import Answer
from sipmesh.routing.registrar.granted import SUPPORTED
from sipmesh.sip.message import Request
from sipmesh.sip.status import Status

METHODS: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, UPDATE, PRACK, INFO, REFER, NOTIFY, SUBSCRIBE, PUBLISH"
"""What each proxy forwards; a registrar takes REGISTER also."""

OF_MANAGEMENT: Final = "OPTIONS, NOTIFY, SUBSCRIBE, PUBLISH"
"""What a management server takes from servers of this network."""


def capabilities(request: Request, methods: str = METHODS) -> Answer:
    """Answer with the *methods* that this server takes. A proxy has no body types of its own.

    The server answers as a user agent. So it refuses all required extensions: it has none (RFC 3261 section 8.2.2.3).
    """
    required = [tag for tag in request.items("require") if tag]
    if required:
        return Answer(420, headers=(("Unsupported", ", ".join(required)),))
    return Answer(200, headers=(("Allow", methods), ("Accept", "*/*")))


def registrar_capabilities(request: Request) -> Answer:
    """Answer as `capabilities`, with the event packages and the extensions of a front end, which is registrar and notifier."""
    answer = capabilities(request, f"{METHODS}, REGISTER")
    if answer.status != Status.OK:
        return answer
    own = (("Allow-Events", ALLOW_EVENTS), ("Supported", ", ".join(SUPPORTED)))
    return Answer(Status.OK, headers=(*answer.headers, *own))
