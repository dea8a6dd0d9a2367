"""A MESSAGE to a user who is not registered: whether it is stored, what is stored, and the request that delivers it.

What is stored is the MESSAGE itself, with its Call-ID, CSeq and tags, so that a phone knows a repeated delivery again. Fields
of one hop are left out, and so is P-Asserted-Identity, which is written from the proved identity.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.proxy.forwarding import assert_identity
from sipmesh.sip.framing import MAX_HEADER, MAX_ROWS
from sipmesh.sip.message import Message, Request, parse_head
from sipmesh.sip.text import LWS, ascii_lower, octets_of, text_of

LARGEST: Final = 128 << 10
"""Octets of a stored message with its header. A client may send a body of this size, and the disk is shared by all users."""

LARGEST_HEADER: Final = MAX_HEADER - 8_192
"""Octets of the header of a stored message: the delivery has a longer Request-URI, a Via, a Route and an identity."""

MOST_ROWS: Final = MAX_ROWS - 16
"""Header rows of a stored message, for the same reason."""

TYPING: Final = "application/im-iscomposing+xml"
"""Says that a user types at the moment (RFC 3994): worth nothing later."""

RECEIPT: Final = "message/imdn+xml"
"""Says that a message was delivered or read (RFC 5438): phones refuse it once they do not know the message any more."""

OF_THE_MOMENT: Final = frozenset({TYPING, RECEIPT})
"""Relayed to phones that are registered, and never stored."""

CPIM: Final = "message/cpim"
HEAD_END: Final = b"\r\n\r\n"
MAX_FORWARDS: Final = "70"

NOT_STORED: Final = frozenset(
    {
        "allow",
        "allow-events",
        "authorization",
        "contact",
        "content-length",
        "expires",
        "max-forwards",
        "p-preferred-identity",
        "proxy-authorization",
        "proxy-require",
        "record-route",
        "require",
        "route",
        "supported",
        "timestamp",
        "via",
    }
)
"""Fields of one hop, or of the moment. A MESSAGE has no Contact (RFC 3428 section 4)."""


def is_storable(request: Request) -> bool:
    """Tell whether a request may be stored for a user who is not registered.

    It must be a MESSAGE outside dialogs that is worth something later. A required extension is for the phone to judge (RFC 3261
    section 8.2.2.3), so such a message is not accepted in its place. A sips request needs a sips contact, which the
    user does not have yet.
    """
    if request.method != "MESSAGE" or request.to.tag is not None or request.has("require"):
        return False
    if request.expires == 0 or request.ruri.scheme != "sip":
        return False
    return not is_of_the_moment(request, request.body)


def content_type(request: Message) -> str:
    """Give the type of the body in lower case and without parameters; "" if there is none."""
    return ascii_lower((request.first("content-type") or "").partition(";")[0].strip(LWS))


def stored_octets(request: Request, identity: str | None, at: datetime) -> bytes:
    """Give the octets to store. *identity* is the proved sender; *at* (UTC) is the Date if the sender wrote none.

    "The Date header field [...] allows the UA to present the time at which the message was sent" (RFC 3428 section 4).
    """
    kept = request.copy()
    kept.keep([row for row in request.rows if row.name not in NOT_STORED])
    assert_identity(kept, identity)
    if not kept.has("date"):
        kept.append("date", format_datetime(at, usegmt=True))
    return kept.encode()


def is_of_the_moment(message: Message, body: bytes) -> bool:
    """Tell whether a MESSAGE with this *body* says that a user types, or is a receipt, by itself or in a ``message/cpim``.

    The header of the content says so: it follows the header of the CPIM message (RFC 3862 section 2).
    """
    kind = content_type(message)
    if kind != CPIM:
        return kind in OF_THE_MOMENT
    inner = text_of(body.replace(b"\r\n", b"\n").partition(b"\n\n")[2].partition(b"\n\n")[0])
    rows = [row.partition(":") for row in ascii_lower(inner).split("\n")]
    kinds = [value.partition(";")[0].strip(LWS) for name, _, value in rows if name.strip(LWS) == "content-type"]
    return len(kinds) == 1 and kinds[0] in OF_THE_MOMENT


def is_receipt(octets: bytes) -> bool:
    """Tell whether stored *octets* are a receipt, which an earlier release has stored."""
    head, _, body = octets.partition(HEAD_END)
    return is_of_the_moment(parse_head(head), body)


def is_deliverable(octets: bytes) -> bool:
    """Tell whether stored *octets* are small enough to be stored, and to be sent with what the delivery adds to the header."""
    header = octets.find(HEAD_END)
    rows = octets.count(b"\r\n", 0, header)
    return len(octets) <= LARGEST and header <= LARGEST_HEADER and rows <= MOST_ROWS


def message_key(request: Request, sender: str) -> bytes:
    """Give the key of a message of *sender*: the same for each copy that its phone sends (RFC 3261 section 8.2.2.2).

    The body is part of it: a phone that uses a Call-ID, tag and CSeq again for another text has written another message.
    """
    parts = (sender, request.call_id, request.from_.tag or "", str(request.cseq.number))
    return sha256(b"\0".join((*map(octets_of, parts), request.body))).digest()


def delivery(octets: bytes, contact: str) -> tuple[Request, str | None]:
    """Make the request that delivers stored *octets* to *contact*, and give the stored identity of its sender.

    The identity is not in the request: its sender knows whether the link may carry it. Raises `RemoteError` for octets that
    are not a stored message.
    """
    head, found, body = octets.partition(HEAD_END)
    message = parse_head(head) if found else None
    if not isinstance(message, Request):
        raise RemoteError("what is stored is not a request", rule="RFC 3261 section 7.1")
    message.body = body
    asserted = message.first("p-asserted-identity")
    assert_identity(message, None)
    message.set_uri(contact)
    message.append("max-forwards", MAX_FORWARDS)
    message.append("content-length", str(len(body)))
    return message, asserted[1:-1] if asserted is not None else None
