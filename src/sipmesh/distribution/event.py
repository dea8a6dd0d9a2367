"""The event package ``sipmesh``: its names, and the requests of its two dialogs (RFC 6665 section 4, RFC 3903 section 4).

A server subscribes on a link that management, or for an edge a front end of its next hop, has opened to it. The first NOTIFY
tells by number and digest what there is; each item that the server lacks follows in a NOTIFY of its own, its body as it was
signed. What the server then has in force, it publishes on the same link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVENT: Final = "sipmesh"
STATUS_EVENT: Final = "sipmesh-status"
METHODS: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH"})

JSON: Final = "application/json"
JOSE: Final = "application/jose"
CRL: Final = "application/pkix-crl"

ITEM: Final = "sipmesh-item"
"""The header field that says what the body of a NOTIFY is: kind, name in percent-encoding, SHA-256 of the body in hex."""

EXPIRES_S: Final = 86_400
"""Both kinds of subscription and a status live this long; in fact they end with their link."""

_MAX_FORWARDS: Final = "70"


@dataclass(frozen=True, slots=True)
class Here:
    """Who we are in these dialogs: our server name, and host and port of the listener, as ``sent_by`` has them."""

    name: str
    sent_by: str
    token: Callable[[], str]
    """Gives text that nobody guesses, for tags, branches and Call-IDs."""

    @property
    def uri(self) -> str:
        """The address of this server."""
        return f"sip:{self.name}"

    def first(self, method: str, peer: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Request:
        """Make a request to *peer* that begins a dialog, or stands alone."""
        fixed = [
            ("from", f"<{self.uri}>;tag={self.token()}"),
            ("to", f"<sip:{peer}>"),
            ("call-id", self.token()),
            ("cseq", f"1 {method}"),
        ]
        return self._request(method, f"sip:{peer}", [*fixed, *headers], body)

    def next(
        self,
        method: str,
        dialog: SubscriptionDialog,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        of: str = JSON,
    ) -> Request:
        """Make the next request of *dialog*."""
        dialog.cseq += 1
        fixed = [
            ("from", f"<{self.uri}>;tag={dialog.local}"),
            ("to", f"<sip:{dialog.peer}>;tag={dialog.remote}"),
            ("call-id", dialog.call_id),
            ("cseq", f"{dialog.cseq} {method}"),
        ]
        return self._request(method, f"sip:{dialog.peer}", [*fixed, *headers], body, of)

    def _request(
        self, method: str, uri: str, headers: Sequence[tuple[str, str]], body: bytes, of: str = JSON
    ) -> Request:
        ours = [
            ("via", f"SIP/2.0/TLS {self.sent_by};branch=z9hG4bK{self.token()}"),
            ("max-forwards", _MAX_FORWARDS),
            ("contact", f"<{self.uri};transport=tls>"),
        ]
        return build_request(method, uri, [*ours, *headers], body, of if body else None)


@dataclass(slots=True)
class SubscriptionDialog:
    """One dialog: its Call-ID, our tag and the peer's, the peer's server name, and the CSeq that we used last."""

    call_id: str
    local: str
    remote: str
    peer: str
    cseq: int = 1


def is_ours(request: Request) -> bool:
    """Tell whether a request is of this package; an application of ours may have packages of its own."""
    if request.method not in METHODS or request.ruri.user is not None:
        return False
    return event_of(request) == (STATUS_EVENT if request.method == "PUBLISH" else EVENT)


def names_package(request: Request) -> bool:
    """Tell whether a request names one of our packages, or a template of one (RFC 6665 section 7.2), whomever it is for."""
    return event_of(request).partition(".")[0] in {EVENT, STATUS_EVENT}


def event_of(request: Request) -> str:
    """Read the event type of a request, without parameters and in lower case; "" where it has none."""
    return ascii_lower((request.first("event") or "").partition(";")[0].strip(LWS))


def named(request: Request) -> str:
    """The server name in From; what the link has proved is what counts, and has to be the same."""
    try:
        return request.from_.sip_uri.host
    except RemoteError:
        return ""


def uri_of(name: str) -> SipUri:
    """The address of a server."""
    return SipUri.parse(f"sip:{name}")
