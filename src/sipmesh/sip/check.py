"""Check that a message is valid: RFC 3261 8.1.1, 16.3 and 18.1.2, with the expected results of RFC 4475.

Other modules check what the message alone does not tell: a Max-Forwards of zero (483), extensions (420), the name in a
response's top Via, and whether a user or a method is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import MAGIC, NameAddr
from sipmesh.sip.message import VERSION, Message, Request, Response
from sipmesh.sip.names import BITS, IMPROPER, bits_of
from sipmesh.sip.rows import CONTACT, EVENT, LONE_LINE_BREAK, TOO_MANY, VIA, Row, flaws_in
from sipmesh.sip.status import TRYING, Status
from sipmesh.sip.text import LWS, ascii_lower, ascii_upper, is_digits, is_token, shown
from sipmesh.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Collection

    from mypy_extensions import i64

# 8.1.1 and section 20 table 2: exactly one row of each. (Max-Forwards may be absent: 16.3 step 3.)
_ONCE: Final[i64] = bits_of("from", "to", "call-id", "cseq")
_SINGLE: Final[i64] = _ONCE | bits_of(
    "max-breadth",
    "max-forwards",
    "content-length",
    "content-type",
    "expires",
    "authentication-info",
    "content-disposition",
    "event",
    "join",
    "mime-version",
    "min-expires",
    "min-se",
    "rack",
    "referred-by",
    "refer-to",
    "replaces",
    "reply-to",
    "rseq",
    "session-expires",
    "sip-etag",
    "sip-if-match",
    "subscription-state",
)
_ONE_ADDRESS: Final[i64] = bits_of("from", "to")
_ADDRESSES: Final[i64] = _ONE_ADDRESS | bits_of("contact", "path", "record-route", "route")
MAX_URI: Final = 8192
"""Octets of the Request-URI and of each address. Any address may become a Request-URI or identify the next hop."""
MAX_METHOD: Final = 128
"""Octets of a method. A start line with this method and a URI of MAX_URI octets fits into the limit of the next hop."""

METHODS: Final = frozenset(
    {
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    }
)
"""The methods that are registered with IANA."""


def check_request(request: Request) -> None:
    """Raise RemoteError if a request breaks a rule. Its status is that of the answer: 400, 414, 416, 505 or 513."""
    if request.flaws:
        raise _flawed(request.flaws)
    if request.version != VERSION:
        raise _bad_version(request.version)
    _check_length(request.uri)
    _check_no_headers(request.ruri)
    _check_rows(request)
    _check_common(request)
    _ = request.call_id
    _check_branch(request.top_via.branch)
    if request.cseq.method != request.method:
        if not is_token(request.method):  # the method of the CSeq was checked when it was parsed
            raise RemoteError(f"not a method: {shown(request.method)}", rule="RFC 3261 7.1")
        # 8.1.1.5: the method MUST match that of the request.
        raise RemoteError(f"a {request.method} with CSeq {request.cseq}", rule="RFC 3261 8.1.1.5")
    if request.has_lower_via:
        _check_vias(request)
    if request.method not in METHODS:
        _check_unknown_method(request.method)
    if request.present & EVENT:
        _check_event(request)
    if request.from_.tag is None:
        # 8.1.1.3: the From field MUST contain a tag. RFC 2543 had no tags, but its clients do not speak TLS to us.
        raise RemoteError("a From without a tag", rule="RFC 3261 8.1.1.3")
    _ = request.max_forwards


def _check_vias(request: Request) -> None:
    """Check the grammar of the Vias below the top one too: they come back with the response."""
    for row in request.rows:
        if row.bit == VIA:
            _ = row.vias if "," in row.line else row.via


def _check_event(request: Request) -> None:
    """Refuse an Event whose type is no token: a phone may read ``dialog x`` as ``dialog``, and our rules would not."""
    kind = (request.first("event") or "").partition(";")[0].strip(LWS)
    if not is_token(kind):
        raise RemoteError(f"not an event type: {shown(kind)}", rule="RFC 6665 8.4")


def _check_unknown_method(method: str) -> None:
    """Refuse a method that is too long, or that another program may read as a known one.

    Methods are case-sensitive. But some phones (PJSIP) compare them without case, and only as many letters as the message has: an
    "invite" or an "INV" would be an INVITE to them, and a method without rules to us.
    """
    if len(method) > MAX_METHOD:
        raise RemoteError(f"a method above {MAX_METHOD} octets", rule="RFC 3261 21.4.1")
    capitals = ascii_upper(method)
    for known in METHODS:
        if known.startswith(capitals):
            raise RemoteError(f"a method that can be read as {known}: {shown(method)}", rule="RFC 3261 7.1")


def check_response(response: Response) -> None:
    """Raise RemoteError if a response breaks a rule. The caller drops the response and ignores the error's status.

    The Call-ID and the Vias below the top one are not read. The forwarding code compares them with those of the request,
    which were checked, and replaces what differs (:mod:`sipmesh.routing.identity.response_policy`).
    """
    if response.flaws:
        raise _flawed(response.flaws)
    if response.version != VERSION:
        raise _bad_version(response.version)
    if response.status < TRYING:
        raise RemoteError(f"not a status: {shown(response.start_line)}", rule="RFC 3261 7.2")
    _check_rows(response)
    _check_common(response)
    _ = response.top_via


def unsupported(request: Request, field: str, known: Collection[str]) -> list[str]:
    """Give the option tags of *field* (``require``, ``proxy-require``) that are not *known*: the Unsupported of a 420."""
    return [tag for tag in request.items(field) if tag and ascii_lower(tag) not in known]


def _flawed(flaws: i64) -> RemoteError:
    if flaws & TOO_MANY:
        return RemoteError(
            "a header that is too long, or has too many rows or list items", rule="RFC 3261 21.5.7", status=513
        )
    what = "a lone CR or LF" if flaws & LONE_LINE_BREAK else "a control character"
    return RemoteError(f"{what} in the header", rule="RFC 3261 25.1")


def _bad_version(version: str) -> RemoteError:
    digits = version[4:]
    if ascii_upper(version[:4]) == "SIP/" and is_digits(digits.replace(".", "", 1)):
        return RemoteError(f"an unknown version: {shown(version)}", rule="RFC 3261 21.5.6", status=505)
    return RemoteError("a start line that does not end in the version", rule="RFC 3261 7.1")


def read_request_uri(text: str) -> SipUri:
    """Parse *text*, which is to become a Request-URI. RemoteError: 400, 414 (too long) or 416 (not a SIP scheme)."""
    _check_length(text)
    uri = SipUri.parse(text)
    _check_no_headers(uri)
    return uri


def _check_length(text: str) -> None:
    if len(text) > MAX_URI:
        raise RemoteError(f"a Request-URI above {MAX_URI} octets", rule="RFC 3261 21.4.12", status=414)


def _check_no_headers(uri: SipUri) -> None:
    # 19.1.1 table 1 forbids headers in a Request-URI. It forbids "method" too, but 19.1.5 allows us to ignore that.
    if uri.headers:
        raise RemoteError("a Request-URI with headers", rule="RFC 3261 19.1.1, RFC 4475 3.1.2.11")


def _check_rows(message: Message) -> None:
    if message.present & (_ONCE | IMPROPER) != _ONCE:
        if missing := _named(_ONCE & ~message.present):
            raise RemoteError(f"no {' and no '.join(missing)}", rule="RFC 3261 8.1.1")
        bad = next(row.name for row in message.rows if row.bit == IMPROPER)
        raise RemoteError(f"a header row without a proper name: {shown(bad)}", rule="RFC 3261 7.3.1")
    if twice := message.repeated & _SINGLE:
        raise RemoteError(f"more than one {' and '.join(_named(twice))}", rule="RFC 3261 7.3.1, RFC 4475 3.3.8")


def _named(bits: i64) -> list[str]:
    return sorted(name for name, bit in BITS.items() if bit & bits)


def _check_common(message: Message) -> None:
    for row in message.rows:
        if row.bit & _ADDRESSES and not row.checked:
            _check_addresses(row)
    _ = message.cseq


def _check_addresses(row: Row) -> None:
    if row.bit & _ONE_ADDRESS:
        _check_address(row.address)
        if row.address.params:
            _check_tag(row.address)
    else:
        for address in row.addresses:
            if address.uri != "*" or row.bit != CONTACT:
                _check_address(address)
    row.checked = True


def valid_items(message: Message, name: str) -> list[str]:
    """Give the items of the address field *name* that are valid; none of a header that is too long."""
    items: list[str] = []
    if message.flaws & TOO_MANY:
        return items
    for item in message.items(name):
        try:
            _check_address(NameAddr.parse(item))
        except RemoteError:
            continue
        if not flaws_in(item):
            items.append(item)
    return items


def valid_tag(response: Response) -> str | None:
    """Give the To tag of a response that may break rules; None if it has none that is valid."""
    try:
        to = response.to
        _check_tag(to)
    except RemoteError:
        return None
    return to.tag


def _check_address(address: NameAddr) -> None:
    """Check the grammar of SIP URIs. A URI of another scheme is forwarded like any other value (RFC 4475 3.3.4)."""
    if len(address.uri) > MAX_URI:
        raise RemoteError(f"a URI above {MAX_URI} octets", rule="RFC 3261 21.4.1")
    try:
        _ = address.sip_uri
    except RemoteError as wrong:
        if wrong.status != Status.UNSUPPORTED_URI_SCHEME:
            raise


def _check_tag(address: NameAddr) -> None:
    """Refuse a quoted tag that is not a token: we write tags without quotes, and the field would change its meaning."""
    for name, value in address.params:
        if name == "tag" and (value is None or not _is_tag(value)):
            raise RemoteError(f"a tag that is not a token: {shown(value or '')}", rule="RFC 3261 25.1: tag-param")


def _is_tag(value: str) -> bool:
    """Tell whether *value* is a token. "/" and "=" (base64) are accepted as in any parameter: no parser ends a value there."""
    return is_token(value) or is_token(value.replace("/", "0").replace("=", "0"))


def _check_branch(branch: str | None) -> None:
    # RFC 4475 3.2.1: a branch of the cookie alone identifies no transaction. A branch without the cookie is of RFC 2543
    # and matched by its rules (17.2.3). RFC 4475 3.1.1.1 and 3.1.1.7 are such messages, and are valid.
    if branch == MAGIC:
        raise RemoteError("a branch of the magic cookie alone", rule="RFC 3261 8.1.1.7")
