"""Header names: the spellings on the wire and the one name that we use for each (RFC 3261 7.3.3, IANA's registry)."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import LocalError
from sipmesh.sip.text import LWS, ascii_lower, ascii_upper, is_token

# One letter for a name, as registered with IANA; case-insensitive like every name.
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

_WRITTEN: Final = (
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
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Access-Network-Info",
    "P-Asserted-Identity",
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

_WIRE: Final = {ascii_lower(name): name for name in _WRITTEN}
# Names that are asked for by the code, or that stand once, have a bit each, no more than a small integer has: which of them a
# header holds, and which twice, is one number.
_ASKED_FOR: Final = (
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
BITS: Final = {name: 1 << at for at, name in enumerate(_ASKED_FOR)}
IMPROPER: Final = 1 << len(_ASKED_FOR)  # the bit of a row whose name is no token
GUARDED: Final = IMPROPER << 1
"""The one bit of all names in GUARDED_NAMES: one number tells whether a header holds any of them."""
GUARDED_NAMES: Final = frozenset(
    {
        "additional-identity",
        "alert-info",
        "answer-mode",
        "attestation-info",
        "call-info",
        "cc-diversion",
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
        "proxy-authenticate",
        "proxy-authentication-info",
        "remote-party-id",
        "service-route",
        "www-authenticate",
    }
)
"""Names that are only ever looked for to hold them to the borders between us and others."""


def bits_of(*names: str) -> int:
    """Give the bits of *names*, each of which is asked for by the code."""
    return sum(BITS[name] for name in names)


def bit_of(name: str) -> int:
    """Give the bit of *name*: 0 for a proper name that has none, IMPROPER for what is no name."""
    if name in GUARDED_NAMES:
        return GUARDED
    bit = BITS.get(name, 0)
    return IMPROPER if bit == 0 and name not in _WIRE and not is_token(name) else bit


# By the beginning of a row, the colon included: one look-up names nearly every row.
_READ: Final = {
    f"{spelling}:": (long, bit_of(long))
    for short, long in [*((short, long) for short, long in COMPACT.items()), *((name, name) for name in _WIRE)]
    for spelling in {short, ascii_upper(short), _WIRE.get(short, short)}
}


# What a row that we write begins with, and its bit.
_SPELLED: Final = {name: (f"{spelling}: ", bit_of(name)) for name, spelling in _WIRE.items()}


def spelled(name: str) -> tuple[str, int]:
    """Give what a row of that name begins with, spelled as the RFCs do, and its bit; LocalError for what is no name."""
    known = _SPELLED.get(name)
    return (f"{wire_name(name)}: ", bit_of(name)) if known is None else known


def name_of(line: str) -> tuple[str, int]:
    """Give the lower-case long name of a header row, "" where there is none, and its bit."""
    found = _READ.get(line[: line.find(":") + 1])
    return _unusual(line) if found is None else found


def _unusual(line: str) -> tuple[str, int]:
    # HCOLON = *( SP / HTAB ) ":" SWS: blanks may stand before the colon.
    spelled = ascii_lower(line[: max(line.find(":"), 0)].rstrip(LWS))
    name = COMPACT.get(spelled, spelled)
    return name, bit_of(name)


def wire_name(name: str) -> str:
    """Spell *name* as the RFCs do; LocalError for what is no header name."""
    known = _WIRE.get(name)
    if known is None:
        known = _WIRE.get(ascii_lower(name))
    if known is not None:
        return known
    if not is_token(name):
        raise LocalError(f"{name!r} is not a header name")
    return "-".join(ascii_upper(part[:1]) + ascii_lower(part[1:]) for part in name.split("-"))
