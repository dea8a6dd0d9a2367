"""The responses that the proxy makes itself, for branches without a usable response (RFC 3261 16.7 to 16.9)."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.target import FlowTarget, Found, ServerTarget, Target
from sipmesh.sip.message import Request, Response, respond

NOT_FOUND: Final = 404
REQUEST_TIMEOUT: Final = 408
FLOW_FAILED: Final = 430
TEMPORARILY_UNAVAILABLE: Final = 480
SERVER_INTERNAL_ERROR: Final = 500
BAD_GATEWAY: Final = 502
SERVICE_UNAVAILABLE: Final = 503
WHY: Final = {
    NOT_FOUND: "no server of the pool knows the device",
    REQUEST_TIMEOUT: "no final response has come in time",
    FLOW_FAILED: "the flow has failed",
    TEMPORARILY_UNAVAILABLE: "the link of the phone is gone",
    BAD_GATEWAY: "the next hop has sent a malformed response",
    SERVICE_UNAVAILABLE: "no server at the next hop can be reached",
}
"""What happened, by the status that we make for a branch without a response. The warn-agent is a pseudonym."""


def explained(request: Request, status: int) -> Response:
    """Make our own response to *request*, with a Warning that says what happened (RFC 3261 section 20.43)."""
    return respond(request, status, headers=(("Warning", f'399 sipmesh "{WHY[status]}"'),))


def lost_status(target: Target) -> int:
    """Give the status for the sender of the request if the way to *target* is lost.

    - 503: a server cannot be reached, even if its user was also looked up here. 404 if it was only asked.
    - 430: a flow that another server or a dialog named by its token has failed (RFC 5626 section 5.3.1).
    - 480: the flow of a registered user is gone.
    """
    if isinstance(target, ServerTarget):
        return NOT_FOUND if target.asks else SERVICE_UNAVAILABLE
    if isinstance(target, FlowTarget) and target.past:
        return SERVICE_UNAVAILABLE
    named = isinstance(target, FlowTarget) and target.found is not Found.ROW
    return FLOW_FAILED if named else TEMPORARILY_UNAVAILABLE


def overloaded(response: Response, *, is_ours: bool = False) -> Response:
    """Change a 503 of the next hop into a 500; only that of a server of ours keeps its Retry-After.

    "A proxy which receives a 503 (Service Unavailable) response SHOULD NOT forward it upstream unless it can determine that
    any subsequent requests it might proxy will also generate a 503" (RFC 3261 section 16.7). With a 503 the sender would stop
    sending requests to us. With a Retry-After the 500 says that this request alone may be tried again, and when (section 21.5.1).
    What a phone or a partner says with its 503 ends here.
    """
    changed = response.copy()
    changed.status, changed.reason = SERVER_INTERNAL_ERROR, "Next Server Unavailable"
    if not is_ours:
        changed.remove("retry-after")
    return changed
