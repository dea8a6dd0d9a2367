"""The event package ``sipmesh``: its names, and the requests of its dialogs (RFC 6665 section 4, RFC 3903 section 4).

A server subscribes on a link that management has opened to it. An edge subscribes on a link that a front end of its next hop
has opened. The first NOTIFY lists number and digest of each item. Each item that the server does not have follows in its own
NOTIFY, with the signed octets as body. The server then publishes on the same link what it has in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response, build_request
from sipmesh.sip.text import LWS, ascii_lower

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVENT: Final = "sipmesh"
STATUS_EVENT: Final = "sipmesh-status"
TRACE_EVENT: Final = "sipmesh-trace"
CALLS_EVENT: Final = "sipmesh-calls"
PUBLISHED: Final = frozenset({STATUS_EVENT, TRACE_EVENT, CALLS_EVENT})
"""What servers publish; the control plane answers it."""
METHODS: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH"})

JSON: Final = "application/json"
JOSE: Final = "application/jose"
CRL: Final = "application/pkix-crl"

ITEM: Final = "sipmesh-item"
"""The header field for the body of a NOTIFY: kind, name in percent-encoding, and SHA-256 of the body in hex."""

EXPIRES_S: Final = 86_400
"""Expiry of subscriptions and status in seconds. In practice they end with their link."""

_MAX_FORWARDS: Final = "70"


@dataclass(frozen=True, slots=True)
class Here:
    """This server in the dialogs: its *name*, and *sent_by*, the host and port of the listener."""

    name: str
    sent_by: str
    token: Callable[[], str]
    """Gives an unpredictable text for tags, branches and Call-IDs."""

    @property
    def uri(self) -> str:
        """The SIP URI of this server."""
        return f"sip:{self.name}"

    def first(self, method: str, peer: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Request:
        """Make a request to *peer* that begins a dialog, or has no dialog."""
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
        """Make the next request of *dialog*. *of* is the content type of *body*."""
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
    """One dialog: Call-ID, our tag, the peer's tag, the peer's server name, and the last CSeq number that we used."""

    call_id: str
    local: str
    remote: str
    peer: str
    cseq: int = 1


def is_ours(request: Request) -> bool:
    """Tell whether a request belongs to this package. An application may have packages of its own."""
    if request.method not in METHODS or request.ruri.user is not None:
        return False
    return event_of(request) in (PUBLISHED if request.method == "PUBLISH" else {EVENT})


def names_package(request: Request) -> bool:
    """Tell whether a request names one of our packages or their templates (RFC 6665 section 7.2), for any recipient."""
    return event_of(request).partition(".")[0] in {EVENT, *PUBLISHED}


def is_of_package(message: Request | Response) -> bool:
    """Tell whether a message between two of our servers is a request of our packages, or the response to one."""
    if isinstance(message, Request):
        return names_package(message)
    try:
        return message.cseq.method in METHODS and message.from_.sip_uri.user is None
    except RemoteError:
        return False


def event_of(request: Request) -> str:
    """Give the event type of a request, without parameters and in lower case; "" if there is none."""
    return ascii_lower((request.first("event") or "").partition(";")[0].strip(LWS))


def named(request: Request) -> str:
    """Give the server name in From, or "". The caller compares it with the name that the link has proved."""
    try:
        return request.from_.sip_uri.host
    except RemoteError:
        return ""
