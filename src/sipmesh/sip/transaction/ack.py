"""The requests that belong to an INVITE transaction: the ACK for a 300-699, and CANCEL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.sip.fields import first_item
from sipmesh.sip.message import Request
from sipmesh.sip.rows import CALL_ID, CSEQ, FROM, ROUTE, TO, VIA, made_row
from sipmesh.sip.text import octets_of
from sipmesh.sip.text_cache import TextCache

if TYPE_CHECKING:
    from mypy_extensions import i64

    from sipmesh.sip.message import Message, Response
    from sipmesh.sip.rows import Row

_FIRST_HOP: Final = made_row("max-forwards", "70")
_NEEDED: Final[i64] = VIA | FROM | TO | CALL_ID | CSEQ
_NO_BODY: Final = made_row("content-length", "0")
MAX_REASONS: Final = 8
"""Values of Reason that a CANCEL forwards. RFC 3326 2 allows one for each protocol, and there are few. Each is a row."""
MAX_REASON: Final = 256
"""Octets of one value of Reason: a cause code and a short text for people."""


def ack_for(invite: Request, response: Response) -> Request:
    """Build the ACK for a 300-699 of *invite* as we sent it (RFC 3261 17.1.1.3). Its To is that of the response."""
    return _belonging(invite, "ACK", response)


def cancel_for(invite: Request, reasons: tuple[str, ...] = ()) -> Request:
    """Build the CANCEL of *invite* as we sent it (RFC 3261 9.1), with *reasons* (RFC 3326). Send it only after a 1xx."""
    cancel = _belonging(invite, "CANCEL", invite)
    for reason in reasons:
        cancel.add(_reason_row(reason))
    return cancel


def _reason_row(reason: str) -> Row:
    """Write the row of a Reason. It is cached: nearly all calls have one of a few."""
    row = _reason_rows.get(reason)
    return _reason_rows.keep(reason, made_row("reason", reason)) if row is None else row


_reason_rows: Final[TextCache[Row]] = TextCache(256)


def reasons_of(cancel: Request) -> tuple[str, ...]:
    """Give the values of Reason that are forwarded with a CANCEL: the first MAX_REASONS that are not empty or too long.

    A Reason is information only (RFC 3326 2). So values above the limits are dropped, and the CANCEL is still forwarded.
    """
    fit = [value for value in cancel.items("reason") if value and len(octets_of(value)) <= MAX_REASON]
    return tuple(fit[:MAX_REASONS])


def _belonging(invite: Request, method: str, named: Message) -> Request:
    """Build a request from the rows of the INVITE, and the To of *named*; LocalError for another method or without a row."""
    if invite.method != "INVITE" or invite.present & _NEEDED != _NEEDED:
        raise LocalError(f"{method} for {invite!r}")
    via = invite.row(VIA)
    rows = [
        made_row("via", first_item(via.value)) if "," in via.line else via,
        _FIRST_HOP,
        *[row for row in invite.rows if row.bit == ROUTE],
        invite.row(FROM),
        named.row(TO),
        invite.row(CALL_ID),
        made_row("cseq", f"{invite.cseq.number} {method}"),
        _NO_BODY,
    ]
    return Request(method, invite.uri, rows)
