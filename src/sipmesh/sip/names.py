"""Header names: the spellings on the wire and the one name that we use for each (RFC 3261 7.3.3, IANA's registry)."""

from __future__ import annotations

from sipmesh.errors import LocalError
from sipmesh.sip.text import is_token

# One letter for a name, as registered with IANA; case-insensitive like every name.
COMPACT = {
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

_WRITTEN = (
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

_WIRE = {name.lower(): name for name in _WRITTEN}
# By the first bytes of a row, the colon included: one look-up names nearly every row.
_READ = {
    spelling.encode() + b":": long
    for short, long in [*((short, long) for short, long in COMPACT.items()), *((name, name) for name in _WIRE)]
    for spelling in {short, short.upper(), _WIRE.get(short, short)}
}

# The names that need no look at their characters.
KNOWN = frozenset(_WIRE)


def names_of(lines: list[bytes]) -> list[str]:
    """Give the lower-case long name of each header row, or "" where there is none."""
    return [_READ.get(line[: line.find(b":") + 1]) or _unusual(line) for line in lines]


def _unusual(line: bytes) -> str:
    # HCOLON = *( SP / HTAB ) ":" SWS: blanks may stand before the colon.
    raw = line[: max(line.find(b":"), 0)]
    name = raw.rstrip(b" \t").lower().decode("utf-8", "surrogateescape")
    return COMPACT.get(name, name)


def wire_name(name: str) -> str:
    """Spell *name* as the RFCs do; LocalError for what is no header name."""
    known = _WIRE.get(name) or _WIRE.get(name.lower())
    if known is not None:
        return known
    if not is_token(name):
        raise LocalError(f"{name!r} is not a header name")
    return "-".join(part.capitalize() for part in name.split("-"))
