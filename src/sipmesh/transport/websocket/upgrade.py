"""The HTTP request that opens a WebSocket, and its answer (RFC 6455 section 4.2, RFC 7118 section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import h11

from sipmesh.sip.text import ascii_lower
from sipmesh.transport.websocket.http_request import (
    Fields,
    Headers,
    UpgradeError,
    fields_of,
    first,
    must_be_http_1_1,
    must_mean_this_server,
    tokens,
    written,
)
from sipmesh.transport.websocket.pages import Pages, asks_for_page, page_answer

SUBPROTOCOL: Final = "sip"
"""The subprotocol of SIP over WebSocket (RFC 7118 section 4)."""

VERSION: Final = "13"
MOST_OCTETS: Final = 16_384
"""Octets of the HTTP request: a browser sends about one kilobyte, with the cookies of its domain a few more."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_KEY_OCTETS: Final = 16
_REQUIRED: Final[Headers] = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION))
"""What a 426 says (RFC 9110 section 15.5.22, RFC 6455 section 4.4)."""


@dataclass(frozen=True, slots=True)
class UpgradePolicy:
    """Who may open a WebSocket here.

    *hosts* are the names of this server, in lower case, with wildcards as in certificates. *origins* are the web origins
    (RFC 6454) whose pages may connect, such as ``https://phone.example.com``. *pages* are served here; they may connect too,
    to the host that has served them.
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    pages: Pages = field(default_factory=dict)


class Upgrade:
    """Reads the HTTP request of one connection; *here* is the IP address of ours that the peer connected to.

    *opens* tells whether the answer opens a WebSocket; otherwise the answer is a page, and the connection ends with it.
    """

    __slots__ = ("_http", "_octets", "_policy", "here", "opens", "rest")

    def __init__(self, policy: UpgradePolicy, here: str) -> None:
        self._policy, self.here = policy, here
        self._http: Any = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_OCTETS)
        self._octets = 0
        self.opens = True
        self.rest = b""

    def add(self, data: bytes) -> bytes | None:
        """Add *data*, and give the answer once the request is complete: the 101, or a page; None before.

        What follows the request is in *rest* then: the first frames. Raises :class:`UpgradeError` for any other request.
        """
        self._octets += len(data)
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as wrong:
            if wrong.error_status_hint == _TOO_LARGE:
                raise _too_large() from None
            raise UpgradeError(
                f"this is no HTTP request: {wrong}", rule="RFC 9112", status=400, text=_NO_HTTP
            ) from None
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.Request):
            raise UpgradeError(_NO_HTTP, rule="RFC 9112", status=400)
        if self._octets - len(self._http.trailing_data[0]) > MOST_OCTETS:  # h11 limits only what has not ended
            raise _too_large()
        fields = fields_of(event)
        if asks_for_page(fields, self._policy.pages):
            self.opens = False
            return page_answer(event, fields, self._policy.pages, self._policy.hosts, self.here)
        answer = accepted(event, fields, self._policy, self.here)
        self._http.next_event()  # the end of the request, which has no body
        self.rest = self._http.trailing_data[0]
        return answer


_NO_HTTP: Final = "this is no HTTP request"
_TOO_LARGE: Final = 431


def _too_large() -> UpgradeError:
    text = f"a request header above {MOST_OCTETS} octets"
    return UpgradeError(text, rule="RFC 6585 section 5", status=_TOO_LARGE)


def accepted(request: Any, fields: Fields, policy: UpgradePolicy, here: str) -> bytes:
    """Return the 101 for *request*, an ``h11.Request``; raises :class:`UpgradeError` if it may not open a WebSocket."""
    _asks_for_websocket(request, fields)
    host = first(fields, "host")
    must_mean_this_server(host, policy.hosts, here)
    _offers_sip(fields)
    _comes_from_an_origin(first(fields, "origin"), host, policy)
    accept = base64.b64encode(hashlib.sha1(_key(fields) + _GUID, usedforsecurity=False).digest()).decode()
    answer = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
        ("Sec-WebSocket-Protocol", SUBPROTOCOL),
    )
    return written(101, answer)


def _asks_for_websocket(request: Any, fields: Fields) -> None:
    """Check method, version and the fields of the upgrade (RFC 6455 section 4.2.1, 1 to 6)."""
    if request.method != b"GET":
        raise UpgradeError(
            "the method is not GET", rule="RFC 6455 section 4.1", status=405, headers=(("Allow", "GET"),)
        )
    must_be_http_1_1(request, fields)
    upgrades = [ascii_lower(token) for token in tokens(fields, "upgrade")]
    if "websocket" not in upgrades or "upgrade" not in [ascii_lower(token) for token in tokens(fields, "connection")]:
        raise UpgradeError(
            "no upgrade to WebSocket is asked for", rule="RFC 9110 section 15.5.22", status=426, headers=_REQUIRED
        )
    if first(fields, "sec-websocket-version") != VERSION:
        raise UpgradeError(
            f"the WebSocket version is not {VERSION}", rule="RFC 6455 section 4.4", status=426, headers=_REQUIRED
        )


def _key(fields: Fields) -> bytes:
    key = first(fields, "sec-websocket-key")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != _KEY_OCTETS:
        raise UpgradeError(
            f"Sec-WebSocket-Key is not {_KEY_OCTETS} octets in base64", rule="RFC 6455 section 4.1", status=400
        )
    return key.encode("ascii")


def _offers_sip(fields: Fields) -> None:
    if SUBPROTOCOL not in tokens(fields, "sec-websocket-protocol"):
        raise UpgradeError("the subprotocol 'sip' is not offered", rule="RFC 7118 section 4", status=400)


def _comes_from_an_origin(origin: str, host: str, policy: UpgradePolicy) -> None:
    """Check Origin (RFC 6455 section 10.2). A browser always sends it; a client without it is no page of another site.

    *host* is a name of this server. So a page whose origin is this host, with the same port, was served here.
    """
    allowed = policy.origins | {f"https://{ascii_lower(host)}"} if policy.pages else policy.origins
    if origin and ascii_lower(origin) not in allowed:
        raise UpgradeError(
            f"a page of the origin {origin!r} may not connect",
            rule="RFC 6455 section 10.2",
            status=403,
            text="a page of this origin may not connect",
        )
