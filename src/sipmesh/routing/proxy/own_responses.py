"""The responses that the proxy makes itself, for branches without a usable response (RFC 3261 16.7 to 16.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.call_rules import LONGEST_RING_S
from sipmesh.routing.call_rules.handling import IS_BUSY
from sipmesh.routing.proxy.branch_kinds import is_of_group
from sipmesh.routing.target import FlowTarget, Found, ServerTarget, Target
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import FIRST_CLIENT_ERROR, FIRST_GLOBAL_FAILURE, Status
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.routing.call_rules.diversion import Chain

MOST_DIGITS: Final = 3
"""Digits of the seconds for which a target rings."""

WHY: Final[dict[int, str]] = {
    Status.NOT_FOUND: "no server of the pool knows the device",
    Status.REQUEST_TIMEOUT: "no final response has come in time",
    Status.FLOW_FAILED: "the flow has failed",
    Status.MAX_BREADTH_EXCEEDED: "the call is forwarded to too many phones",
    Status.TEMPORARILY_UNAVAILABLE: "the link of the phone is gone",
    Status.BAD_GATEWAY: "the next hop has sent a malformed response",
    Status.SERVICE_UNAVAILABLE: "no server at the next hop can be reached",
}
"""What happened, by the status that we make for a branch without a response. The warn-agent is a pseudonym."""


def explained(request: Request, status: int) -> Response:
    """Make our own response to *request*, with a Warning that says what happened (RFC 3261 section 20.43)."""
    return respond(request, status, headers=(("Warning", f'399 sipmesh "{WHY[status]}"'),))


def unanswered(request: Request) -> Response:
    """Make the response to a call that was not answered for as long as the rules of the callee say."""
    return respond(
        request, Status.TEMPORARILY_UNAVAILABLE, headers=(("Warning", '399 sipmesh "not answered in time"'),)
    )


def of_member(request: Request, response: Response) -> Response:
    """Make the response for a member of a group: busy or away. What a member says is for no other member, and not for the caller.

    A member who redirects the call is busy.
    """
    is_busy = response.status in IS_BUSY or not FIRST_CLIENT_ERROR <= response.status < FIRST_GLOBAL_FAILURE
    status = Status.BUSY_HERE if is_busy else Status.TEMPORARILY_UNAVAILABLE
    return respond(request, status, headers=(("Warning", '399 sipmesh "no member of the group is free"'),))


def of_beside(request: Request, chain: Chain, response: Response) -> Response:
    """Make the response for a user who rings beside others, and who redirects the call or declines it for all."""
    if is_of_group(chain):
        return of_member(request, response)
    return respond(request, Status.BUSY_HERE, headers=(("Warning", '399 sipmesh "a user who rings beside is busy"'),))


def wants_beside(request: Request, redirection: Response, seconds: int) -> Response:
    """Ask the first server to have the target of *redirection* ring while the phones ring here, for *seconds*, 0 for no bound.

    "181 Call Is Being Forwarded" (RFC 3261 section 21.1.3), with the Contact and the Diversion of a 302.
    """
    contact = redirection.first("contact") or ""
    headers = [("Contact", f"{contact};expires={seconds}" if seconds else contact)]
    headers += [("Diversion", value) for value in redirection.items("diversion")]
    return respond(request, Status.CALL_IS_BEING_FORWARDED, headers=headers)


def ring_time_in(response: Response) -> int:
    """Give for how many seconds the target of a 181 rings, as `wants_beside` says; 0 for no bound."""
    value = dict(response.contacts[0].params).get("expires") or ""
    return min(int(value), LONGEST_RING_S) if is_digits(value) and len(value) <= MOST_DIGITS else 0


def lost_status(target: Target) -> int:
    """Give the status for the sender of the request if the way to *target* is lost.

    - 503: a server cannot be reached, even if its user was also looked up here. 404 if it was only asked.
    - 430: a flow that another server or a dialog named by its token has failed (RFC 5626 section 5.3.1).
    - 480: the flow of a registered user is gone.
    """
    if isinstance(target, ServerTarget):
        return Status.NOT_FOUND if target.asks else Status.SERVICE_UNAVAILABLE
    if isinstance(target, FlowTarget) and target.past:
        return Status.SERVICE_UNAVAILABLE
    named = isinstance(target, FlowTarget) and target.found is not Found.ROW
    return Status.FLOW_FAILED if named else Status.TEMPORARILY_UNAVAILABLE


def overloaded(response: Response, *, is_ours: bool = False) -> Response:
    """Change a 503 of the next hop into a 500; only that of a server of ours keeps its Retry-After.

    "A proxy which receives a 503 (Service Unavailable) response SHOULD NOT forward it upstream unless it can determine that
    any subsequent requests it might proxy will also generate a 503" (RFC 3261 section 16.7). With a 503 the sender would stop
    sending requests to us. With a Retry-After the 500 says that this request alone may be tried again, and when (section 21.5.1).
    What a phone or a partner says with its 503 ends here.
    """
    changed = response.copy()
    changed.status, changed.reason = Status.SERVER_INTERNAL_ERROR, "Next Server Unavailable"
    if not is_ours:
        changed.remove("retry-after")
    return changed
