"""The two requests that a transaction makes by itself: ACK for a refusal, and CANCEL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.sip.fields import first_item
from sipmesh.sip.message import Request, build_request

if TYPE_CHECKING:
    from sipmesh.sip.message import Response

_MAX_FORWARDS: Final = "70"


def ack_for(invite: Request, response: Response) -> Request:
    """Acknowledge a 300-699 of an INVITE as we sent it (RFC 3261 17.1.1.3): the To is the response's, with its tag."""
    return _belonging(invite, "ACK", response.first("to") or "")


def cancel_for(invite: Request) -> Request:
    """Cancel an INVITE as we sent it (RFC 3261 9.1); wait for a 1xx first."""
    return _belonging(invite, "CANCEL", invite.first("to") or "")


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
