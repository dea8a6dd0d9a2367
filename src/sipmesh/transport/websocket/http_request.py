"""One HTTP request on a WebSocket port: its header fields, the host that it means, and how it is refused."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.transport.tls.certificate_choice import holds

_ONCE: Final = ("host", "origin", "sec-websocket-key", "sec-websocket-version")
"""Header fields of which a second one makes the request ambiguous."""

Headers = tuple[tuple[str, str], ...]
Fields = dict[str, list[str]]
"""The values of each header field, by its name in lower case."""

_REASONS: Final = {
    101: "Switching Protocols",
    200: "OK",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    421: "Misdirected Request",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class UpgradeError(RemoteError):
    """The HTTP request opens no WebSocket. *status* is its HTTP status, *headers* are header fields for the answer.

    *text* is sent to the peer; the message of the exception may repeat what the peer has sent. The answer to a HEAD has
    no body (RFC 9110 section 9.3.2).
    """

    about: ClassVar[str] = "This port is for SIP over WebSocket only"

    def __init__(self, message: str, *, rule: str, status: int, text: str = "", headers: Headers = ()) -> None:
        super().__init__(message, rule=rule, status=status)
        self.text = f"{text or message} ({rule})"
        self.headers = headers
        self.is_head = False

    def answer(self) -> bytes:
        """Write the HTTP response; the connection closes after it (RFC 9112 section 9.6)."""
        body = f"{self.about}: {self.text}.\n".encode("ascii", "replace")
        headers: Headers = (
            *self.headers,
            ("Content-Type", "text/plain; charset=us-ascii"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(body))),
        )
        connection = "Upgrade, close" if any(name == "Upgrade" for name, _ in self.headers) else "close"
        return written(self.status, (*headers, ("Connection", connection))) + (b"" if self.is_head else body)


def fields_of(request: Any) -> Fields:
    """Return the header fields of *request*, an ``h11.Request``."""
    fields: Fields = {}
    for name, value in request.headers:
        fields.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    for name in _ONCE:
        if len(fields.get(name, ())) > 1:
            raise UpgradeError(f"more than one {name}", rule="RFC 9110 section 5.3", status=400)
    return fields


def first(fields: Fields, name: str) -> str:
    """Return the first value of a field; empty without one."""
    return fields.get(name, [""])[0].strip(LWS)


def tokens(fields: Fields, name: str) -> list[str]:
    """Return the members of a field that is a list."""
    return [token.strip(LWS) for value in fields.get(name, ()) for token in value.split(",")]


def must_be_http_1_1(request: Any, fields: Fields) -> None:
    """Check the version, and that there is no body (RFC 6455 section 4.1)."""
    if request.http_version != b"1.1":
        raise UpgradeError("the version is not HTTP/1.1", rule="RFC 6455 section 4.1", status=505)
    if "content-length" in fields or "transfer-encoding" in fields:
        raise UpgradeError("a body in the request", rule="RFC 6455 section 4.1", status=400)


def must_mean_this_server(host: str, hosts: frozenset[str], here: str) -> None:
    """Check that Host names this server: a page that reached us by a rebound DNS name has another one."""
    name = ascii_lower(host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0])
    if not holds(hosts, name) and name != here:
        raise UpgradeError(
            f"Host is {host!r}, which is not this server",
            rule="RFC 9110 section 7.4",
            status=421,
            text="Host is not a name of this server",
        )


def written(status: int, headers: Headers) -> bytes:
    """Write the status line and the header fields of an answer."""
    rows = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\n{rows}\r\n".encode("ascii")
