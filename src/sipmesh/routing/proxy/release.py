"""End one side of a call that may not go on: the ACK and BYE that a proxy sends in place of the other side.

A proxy cannot refuse a 2xx or an ACK (RFC 3261 section 13.2.2.4). So it ends the dialog with each side by a BYE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.sip.check import valid_items, valid_tag
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response, build_request, respond

if TYPE_CHECKING:
    from collections.abc import Collection

LAST_CSEQ: Final = 2**31 - 1
"""The largest CSeq (RFC 3261 section 8.1.1.5): higher than each that the other side has used, which we do not know."""

REASON: Final = 'SIP;cause=488;text="Media policy"'
"""The Reason of a BYE or CANCEL after media were refused (RFC 3326)."""

MALFORMED: Final = 'SIP;cause=502;text="Malformed response"'
"""The Reason of a BYE to a callee whose 2xx cannot be forwarded."""

BY_OPERATOR: Final = 'SIP;cause=200;text="Ended by an operator"'
"""The Reason of the BYE to both sides of a call that an operator ends."""

MEDIA_LOST: Final = 'SIP;cause=500;text="Media lost"'
"""The Reason of the BYE to both sides of a call that rtpengine has not any more."""

PEER_GONE: Final = 'SIP;cause=503;text="Other side gone"'
"""The Reason of the BYE in a call whose application, trunk or partner is not trusted any more, or stays away."""

TOO_LONG: Final = 'SIP;cause=408;text="Longer than allowed"'
"""The Reason of the BYE to both sides of a call with a trunk that is up for too long."""

_MAX_FORWARDS: Final = "70"


def readable_part(response: Response, sent: Request) -> Response:
    """Give the part of *response* that can be read: its To tag, Contact and Record-Route. The rest is as in the request *sent*.

    For a response that breaks a rule, so that it cannot be forwarded.
    """
    fields = [(name, item) for name in ("contact", "record-route") for item in valid_items(response, name)]
    tag = valid_tag(response)
    part = respond(sent, response.status, headers=fields, to_tag=tag)
    if tag is None:
        part.replace("to", sent.first("to") or "")
    return part


def ack_in_place_of_caller(sent: Request, response: Response, tokens: Collection[str]) -> Request:
    """Build the ACK, without a Via, of a 2xx to the INVITE *sent*. *tokens* are those of our Record-Route in it."""
    return _to_callee(sent, response, tokens, "ACK", sent.cseq.number)


def bye_in_place_of_caller(sent: Request, response: Response, tokens: Collection[str], reason: str = REASON) -> Request:
    """Build a BYE, without a Via, to the side that has sent *response*, a 2xx to the request *sent*."""
    return _to_callee(sent, response, tokens, "BYE", _next(sent.cseq.number), reason)


def byes_to_both(
    invite: Request, sent: Request, response: Response, tokens: Collection[str], reason: str
) -> list[Request | None]:
    """Build the BYE to the caller and the BYE to the callee, without a Via, of a call that is up.

    *invite* is as it arrived, *sent* as it was sent, and *response* is its 2xx. The BYE to the caller is None without a Contact.
    """
    contacts = invite.contacts
    to_callee = _to_callee(sent, response, tokens, "BYE", LAST_CSEQ, reason)
    if not contacts or not contacts[0].is_sip:
        return [None, to_callee]
    routes = [("route", value) for value in invite.items("record-route")]
    ends = [("from", response.first("to") or ""), ("to", invite.first("from") or "")]
    return [_request("BYE", contacts[0].uri, ends, routes, invite.call_id, LAST_CSEQ, reason), to_callee]


def bye_after_ack(ack: Request) -> Request:
    """Build a BYE for the same way as an ACK of the caller."""
    bye = without_body(ack)
    bye.method = "BYE"
    bye.replace("cseq", f"{_next(ack.cseq.number)} BYE")
    bye.append("reason", REASON)
    return bye


def _next(cseq: int) -> int:
    """Give the CSeq after *cseq*; the largest one is used twice, since a peer refuses lower numbers only (RFC 3261 12.2.2)."""
    return min(cseq + 1, LAST_CSEQ)


def without_body(request: Request) -> Request:
    """Copy *request* without its body and the fields about it."""
    copy = request.copy()
    for name in ("content-type", "content-encoding", "content-disposition", "content-language"):
        copy.remove(name)
    copy.body = b""
    copy.replace("content-length", "0")
    return copy


def bye_in_place_of_callee(invite: Request, ack: Request) -> Request | None:
    """Build a BYE, without a Via, to the caller: *invite* as it arrived, and the ACK of its 2xx; None without a Contact."""
    contacts = invite.contacts
    if not contacts or not contacts[0].is_sip:
        return None
    routes = [("route", value) for value in invite.items("record-route")]
    ends = [("from", ack.first("to") or ""), ("to", ack.first("from") or "")]
    return _request("BYE", contacts[0].uri, ends, routes, ack.call_id, LAST_CSEQ, REASON)


def _to_callee(
    sent: Request, response: Response, tokens: Collection[str], method: str, cseq: int, reason: str = ""
) -> Request:
    contacts = response.contacts
    uri = contacts[0].uri if contacts and contacts[0].is_sip else sent.uri
    ends = [("from", sent.first("from") or ""), ("to", response.first("to") or "")]
    return _request(method, uri, ends, _routes_to_callee(sent, response, tokens), sent.call_id, cseq, reason)


def _routes_to_callee(sent: Request, response: Response, tokens: Collection[str]) -> list[tuple[str, str]]:
    """Give the Route from us to the callee: that of the request in a dialog, else the Record-Route below ours, reversed."""
    if sent.to.tag is not None:
        return [("route", value) for value in sent.items("route")]
    below: list[str] = []
    for item in response.items("record-route"):
        route = NameAddr.parse(item)
        if route.is_sip and route.sip_uri.user in tokens:
            break
        below.insert(0, item)
    return [("route", item) for item in below]


def _request(
    method: str,
    uri: str,
    ends: list[tuple[str, str]],
    routes: list[tuple[str, str]],
    call_id: str,
    cseq: int,
    reason: str,
) -> Request:
    why = [("reason", reason)] if reason else []
    fixed = [("max-forwards", _MAX_FORWARDS), *ends, ("call-id", call_id), ("cseq", f"{cseq} {method}")]
    return build_request(method, uri, [*routes, *fixed, *why])
