"""The HTTP request that opens a WebSocket, and its answer (RFC 6455 section 4.2, RFC 7118 section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any, Final

import h11

from sipmesh.errors import RemoteError
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.transport.tls.certificate_choice import holds

SUBPROTOCOL: Final = "sip"
"""The subprotocol of SIP over WebSocket (RFC 7118 section 4)."""

VERSION: Final = "13"
MOST_OCTETS: Final = 16_384
"""Octets of the HTTP request: a browser sends about one kilobyte, with the cookies of its domain a few more."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_KEY_OCTETS: Final = 16
_ONCE: Final = ("host", "origin", "sec-websocket-key", "sec-websocket-version")
"""Header fields of which a second one makes the request ambiguous."""

Headers = tuple[tuple[str, str], ...]

_REQUIRED: Final[Headers] = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION))
"""What a 426 says (RFC 9110 section 15.5.22, RFC 6455 section 4.4)."""

_REASONS: Final = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}


@dataclass(frozen=True, slots=True)
class UpgradePolicy:
    """Who may open a WebSocket here.

    *hosts* are the names of this server, in lower case, with wildcards as in certificates. *origins* are the web origins
    (RFC 6454) whose pages may connect, such as ``https://phone.example.com``.
    """

    hosts: frozenset[str]
    origins: frozenset[str]


class UpgradeError(RemoteError):
    """The HTTP request opens no WebSocket. *status* is its HTTP status, *headers* are header fields for the answer.

    *text* is what the peer is told; the message of the exception may repeat what the peer has sent.
    """

    def __init__(self, message: str, *, rule: str, status: int, text: str = "", headers: Headers = ()) -> None:
        super().__init__(message, rule=rule, status=status)
        self.text = f"{text or message} ({rule})"
        self.headers = headers

    def answer(self) -> bytes:
        """Write the HTTP response; the connection closes after it (RFC 9112 section 9.6)."""
        body = f"This port is for SIP over WebSocket only: {self.text}.\n".encode("ascii", "replace")
        headers: Headers = (
            *self.headers,
            ("Content-Type", "text/plain; charset=us-ascii"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(body))),
        )
        connection = "Upgrade, close" if any(name == "Upgrade" for name, _ in self.headers) else "close"
        return _written(self.status, _REASONS[self.status], (*headers, ("Connection", connection))) + body


class Upgrade:
    """Reads the HTTP request of one connection; *here* is the IP address of ours that the peer connected to."""

    __slots__ = ("_http", "_policy", "here", "rest")

    def __init__(self, policy: UpgradePolicy, here: str) -> None:
        self._policy, self.here = policy, here
        self._http: Any = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_OCTETS)
        self.rest = b""

    def __repr__(self) -> str:
        return f"<Upgrade at {self.here}>"

    def add(self, data: bytes) -> bytes | None:
        """Add *data*, and give the 101 once the request is complete; None before.

        What follows the request is in *rest* then: the first frames. Raises :class:`UpgradeError` for any other request.
        """
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as wrong:
            if wrong.error_status_hint == _TOO_LARGE:
                text = f"a request header above {MOST_OCTETS} octets"
                raise UpgradeError(text, rule="RFC 6585 section 5", status=_TOO_LARGE) from None
            raise UpgradeError(
                f"this is no HTTP request: {wrong}", rule="RFC 9112", status=400, text=_NO_HTTP
            ) from None
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.Request):
            raise UpgradeError(_NO_HTTP, rule="RFC 9112", status=400)
        answer = accepted(event, self._policy, self.here)
        self._http.next_event()  # the end of the request, which has no body
        self.rest = self._http.trailing_data[0]
        return answer


_NO_HTTP: Final = "this is no HTTP request"
_TOO_LARGE: Final = 431


def accepted(request: Any, policy: UpgradePolicy, here: str) -> bytes:
    """Return the 101 for *request*, an ``h11.Request``; raises :class:`UpgradeError` if it may not open a WebSocket."""
    headers = _headers(request)
    _asks_for_websocket(request, headers)
    _means_this_server(_one(headers, "host"), policy.hosts, here)
    _offers_sip(headers)
    _comes_from_an_origin(_one(headers, "origin"), policy.origins)
    accept = base64.b64encode(hashlib.sha1(_key(headers) + _GUID, usedforsecurity=False).digest()).decode()
    answer = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
        ("Sec-WebSocket-Protocol", SUBPROTOCOL),
    )
    return _written(101, "Switching Protocols", answer)


def _headers(request: Any) -> dict[str, list[str]]:
    """Give the values of each header field, by its name in lower case."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    for name in _ONCE:
        if len(headers.get(name, ())) > 1:
            raise UpgradeError(f"more than one {name}", rule="RFC 9110 section 5.3", status=400)
    return headers


def _one(headers: dict[str, list[str]], name: str) -> str:
    return headers.get(name, [""])[0].strip(LWS)


def _tokens(headers: dict[str, list[str]], name: str) -> list[str]:
    return [token.strip(LWS) for value in headers.get(name, ()) for token in value.split(",")]


def _asks_for_websocket(request: Any, headers: dict[str, list[str]]) -> None:
    """Check method, version and the fields of the upgrade (RFC 6455 section 4.2.1, 1 to 6)."""
    if request.method != b"GET":
        raise UpgradeError(
            "the method is not GET", rule="RFC 6455 section 4.1", status=405, headers=(("Allow", "GET"),)
        )
    if request.http_version != b"1.1":
        raise UpgradeError("the version is not HTTP/1.1", rule="RFC 6455 section 4.1", status=505)
    if "content-length" in headers or "transfer-encoding" in headers:
        raise UpgradeError("a body in the request", rule="RFC 6455 section 4.1", status=400)
    upgrades = [ascii_lower(token) for token in _tokens(headers, "upgrade")]
    if "websocket" not in upgrades or "upgrade" not in [ascii_lower(token) for token in _tokens(headers, "connection")]:
        raise UpgradeError(
            "no upgrade to WebSocket is asked for", rule="RFC 9110 section 15.5.22", status=426, headers=_REQUIRED
        )
    if _one(headers, "sec-websocket-version") != VERSION:
        raise UpgradeError(
            f"the WebSocket version is not {VERSION}", rule="RFC 6455 section 4.4", status=426, headers=_REQUIRED
        )


def _key(headers: dict[str, list[str]]) -> bytes:
    key = _one(headers, "sec-websocket-key")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != _KEY_OCTETS:
        raise UpgradeError(
            f"Sec-WebSocket-Key is not {_KEY_OCTETS} octets in base64", rule="RFC 6455 section 4.1", status=400
        )
    return key.encode("ascii")


def _means_this_server(host: str, hosts: frozenset[str], here: str) -> None:
    """Check that Host names this server: a page that reached us by a rebound DNS name has another one."""
    name = ascii_lower(host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0])
    if not holds(hosts, name) and name != here:
        raise UpgradeError(
            f"Host is {host!r}, which is not this server",
            rule="RFC 9110 section 7.4",
            status=421,
            text="Host is not a name of this server",
        )


def _offers_sip(headers: dict[str, list[str]]) -> None:
    if SUBPROTOCOL not in _tokens(headers, "sec-websocket-protocol"):
        raise UpgradeError("the subprotocol 'sip' is not offered", rule="RFC 7118 section 4", status=400)


def _comes_from_an_origin(origin: str, origins: frozenset[str]) -> None:
    """Check Origin (RFC 6455 section 10.2). A browser always sends it; a client without it is no page of somebody else."""
    if origin and ascii_lower(origin) not in origins:
        raise UpgradeError(
            f"a page of the origin {origin!r} may not connect",
            rule="RFC 6455 section 10.2",
            status=403,
            text="a page of this origin may not connect",
        )


def _written(status: int, reason: str, headers: Headers) -> bytes:
    rows = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {reason}\r\n{rows}\r\n".encode("ascii")
