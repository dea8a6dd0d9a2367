"""Header names: their spellings on the wire, and our one name for each (RFC 3261 7.3.3, IANA's registry)."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import LocalError
from sipmesh.sip.text import LWS, ascii_lower, ascii_upper, is_token

# Compact forms, as registered with IANA. They are case-insensitive like every header name.
COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_SPELLINGS: Final = (
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Authentication-Info",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Call-Info",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "Date",
    "Diversion",
    "Error-Info",
    "Event",
    "Expires",
    "Flow-Timer",
    "From",
    "History-Info",
    "Identity",
    "Identity-Info",
    "In-Reply-To",
    "Join",
    "MIME-Version",
    "Max-Breadth",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Access-Network-Info",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Preferred-Identity",
    "Path",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Reason",
    "Record-Route",
    "Refer-To",
    "Referred-By",
    "Reject-Contact",
    "Replaces",
    "Reply-To",
    "Request-Disposition",
    "Require",
    "Retry-After",
    "Route",
    "SIP-ETag",
    "SIP-If-Match",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Subject",
    "Subscription-State",
    "Supported",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "WWW-Authenticate",
    "Warning",
)

_WIRE_NAMES: Final = {ascii_lower(name): name for name in _SPELLINGS}
# A name has a bit if the code reads it, or if it may occur once only. Together the bits fit into a small integer. So one
# number holds all names that a header contains, and one number those that it contains twice.
_NAMES_WITH_BITS: Final = (
    "accept",
    "authentication-info",
    "authorization",
    "call-id",
    "contact",
    "content-disposition",
    "content-length",
    "content-type",
    "cseq",
    "event",
    "expires",
    "from",
    "join",
    "max-breadth",
    "max-forwards",
    "mime-version",
    "min-expires",
    "min-se",
    "p-asserted-identity",
    "p-preferred-identity",
    "path",
    "privacy",
    "proxy-authorization",
    "proxy-require",
    "rack",
    "record-route",
    "refer-to",
    "referred-by",
    "replaces",
    "reply-to",
    "require",
    "retry-after",
    "route",
    "rseq",
    "session-expires",
    "sip-etag",
    "sip-if-match",
    "subscription-state",
    "supported",
    "timestamp",
    "to",
    "via",
)
BITS: Final = {name: 1 << at for at, name in enumerate(_NAMES_WITH_BITS)}
IMPROPER: Final = 1 << len(_NAMES_WITH_BITS)  # the bit of a row whose name is not a token
GUARDED: Final = IMPROPER << 1
"""The bit that all names in GUARDED_NAMES share: one test tells whether a header contains any of them."""
GUARDED_NAMES: Final = frozenset(
    {
        "additional-identity",
        "alert-info",
        "answer-mode",
        "attestation-info",
        "call-info",
        "cc-diversion",
        "number-verification",
        "origination-id",
        "p-auto-answer",
        "p-dcs-billing-info",
        "p-dcs-laes",
        "p-dcs-osps",
        "p-dcs-redirect",
        "p-dcs-trace-party-id",
        "p-media-authorization",
        "p-refused-uri-list",
        "priv-answer-mode",
        "response-source",
        "security-verify",
        "diversion",
        "error-info",
        "history-info",
        "identity-info",
        "p-access-network-info",
        "p-asserted-service",
        "p-associated-uri",
        "p-called-party-id",
        "p-charging-function-addresses",
        "p-charging-vector",
        "p-preferred-service",
        "p-private-network-indication",
        "p-profile-key",
        "p-served-user",
        "p-user-database",
        "p-visited-network-id",
        "policy-contact",
        "proxy-authenticate",
        "proxy-authentication-info",
        "remote-party-id",
        "service-route",
        "verified-identity",
        "www-authenticate",
    }
)
"""Names that the code reads only to apply the border table (:mod:`sipmesh.routing.identity.border`)."""


def bits_of(*names: str) -> int:
    """Give the bits of *names*. Each name must be in :data:`BITS`."""
    return sum(BITS[name] for name in names)


def bit_of(name: str) -> int:
    """Give the bit of *name*: 0 for a valid name without a bit, IMPROPER for text that is not a header name."""
    if name in GUARDED_NAMES:
        return GUARDED
    bit = BITS.get(name, 0)
    return IMPROPER if bit == 0 and name not in _WIRE_NAMES and not is_token(name) else bit


# Keyed by the start of a row up to and including the colon: one look-up finds nearly every name.
_BY_ROW_START: Final = {
    f"{spelling}:": (long, bit_of(long))
    for short, long in [*((short, long) for short, long in COMPACT.items()), *((name, name) for name in _WIRE_NAMES)]
    for spelling in {short, ascii_upper(short), _WIRE_NAMES.get(short, short)}
}


# The start of a row that we write, and the bit of its name.
_ROW_STARTS: Final = {name: (f"{spelling}: ", bit_of(name)) for name, spelling in _WIRE_NAMES.items()}


def spelled(name: str) -> tuple[str, int]:
    """Give the start of a row with that name, in the spelling of the RFCs, and its bit; LocalError for an invalid name."""
    known = _ROW_STARTS.get(name)
    return (f"{wire_name(name)}: ", bit_of(name)) if known is None else known


def name_of(line: str) -> tuple[str, int]:
    """Give the lower-case long name of a header row, "" if it has none, and the bit of that name."""
    found = _BY_ROW_START.get(line[: line.find(":") + 1])
    return _unusual(line) if found is None else found


def _unusual(line: str) -> tuple[str, int]:
    # HCOLON = *( SP / HTAB ) ":" SWS: blanks are allowed before the colon.
    spelled = ascii_lower(line[: max(line.find(":"), 0)].rstrip(LWS))
    name = COMPACT.get(spelled, spelled)
    return name, bit_of(name)


def wire_name(name: str) -> str:
    """Spell *name* as the RFCs do; LocalError for an invalid header name."""
    known = _WIRE_NAMES.get(name)
    if known is None:
        known = _WIRE_NAMES.get(ascii_lower(name))
    if known is not None:
        return known
    if not is_token(name):
        raise LocalError(f"{name!r} is not a header name")
    return "-".join(ascii_upper(part[:1]) + ascii_lower(part[1:]) for part in name.split("-"))
