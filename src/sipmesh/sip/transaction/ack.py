"""The requests that belong to an INVITE transaction: the ACK for a 300-699, and CANCEL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.sip.fields import first_item
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.text import octets_of

if TYPE_CHECKING:
    from sipmesh.sip.message import Response

_MAX_FORWARDS: Final = "70"
MAX_REASONS: Final = 8
"""Values of Reason that a CANCEL forwards. RFC 3326 2 allows one for each protocol, and there are few. Each is a row."""
MAX_REASON: Final = 256
"""Octets of one value of Reason: a cause code and a short text for people."""


def ack_for(invite: Request, response: Response) -> Request:
    """Build the ACK for a 300-699 of *invite* as we sent it (RFC 3261 17.1.1.3). Its To is that of the response."""
    return _belonging(invite, "ACK", response.first("to") or "")


def cancel_for(invite: Request, reasons: tuple[str, ...] = ()) -> Request:
    """Build the CANCEL of *invite* as we sent it (RFC 3261 9.1), with *reasons* (RFC 3326). Send it only after a 1xx."""
    cancel = _belonging(invite, "CANCEL", invite.first("to") or "")
    for reason in reasons:
        cancel.append("reason", reason)
    return cancel


def reasons_of(cancel: Request) -> tuple[str, ...]:
    """Give the values of Reason that are forwarded with a CANCEL: the first MAX_REASONS that are not empty or too long.

    A Reason is information only (RFC 3326 2). So values above the limits are dropped, and the CANCEL is still forwarded.
    """
    fit = [value for value in cancel.items("reason") if value and len(octets_of(value)) <= MAX_REASON]
    return tuple(fit[:MAX_REASONS])


def _belonging(invite: Request, method: str, to: str) -> Request:
    """Build a request with the URI, top Via, routes and CSeq number of the INVITE; LocalError for another method."""
    via = invite.first("via")
    if invite.method != "INVITE" or via is None:
        raise LocalError(f"{method} for {invite!r}")
    headers = [
        ("via", first_item(via)),
        ("max-forwards", _MAX_FORWARDS),
        *(("route", route) for route in invite.values("route")),
        ("from", invite.first("from") or ""),
        ("to", to),
        ("call-id", invite.call_id),
        ("cseq", f"{invite.cseq.number} {method}"),
    ]
    return build_request(method, invite.uri, headers)
