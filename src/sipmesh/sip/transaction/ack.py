"""The two requests that a transaction makes by itself: ACK for a refusal, and CANCEL."""

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
"""Values of Reason that a CANCEL takes on: one for each protocol (RFC 3326 2), and there are few. Each becomes a row."""
MAX_REASON: Final = 256
"""Octets of one value of Reason: a cause and a short text for people."""


def ack_for(invite: Request, response: Response) -> Request:
    """Acknowledge a 300-699 of an INVITE as we sent it (RFC 3261 17.1.1.3): the To is the response's, with its tag."""
    return _belonging(invite, "ACK", response.first("to") or "")


def cancel_for(invite: Request, reasons: tuple[str, ...] = ()) -> Request:
    """Cancel an INVITE as we sent it (RFC 3261 9.1) for *reasons* (RFC 3326), each in a row; wait for a 1xx first."""
    cancel = _belonging(invite, "CANCEL", invite.first("to") or "")
    for reason in reasons:
        cancel.append("reason", reason)
    return cancel


def reasons_of(cancel: Request) -> tuple[str, ...]:
    """Give the values of Reason that a CANCEL takes on to each branch: the first eight that are not empty and not long.

    Reason tells why and decides nothing (RFC 3326 2): values above the bounds are dropped, and the CANCEL goes on.
    """
    fit = [value for value in cancel.items("reason") if value and len(octets_of(value)) <= MAX_REASON]
    return tuple(fit[:MAX_REASONS])


def _belonging(invite: Request, method: str, to: str) -> Request:
    """Make a request of the INVITE's own transaction: its URI, its top Via alone, its routes, its CSeq number."""
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
