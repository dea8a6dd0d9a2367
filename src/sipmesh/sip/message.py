"""Requests and responses: split from the wire, composed, answered (RFC 3261 section 7, 8.1.1 and 8.2.6)."""

from __future__ import annotations

from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import bounded
from sipmesh.sip.header import Message
from sipmesh.sip.kept import keep
from sipmesh.sip.names import bits_of
from sipmesh.sip.reasons import REASONS
from sipmesh.sip.rows import LONE_LINE_BREAK, VIA, Row, flaws_in, header_rows, one_line, rows_of
from sipmesh.sip.text import ascii_upper, is_digits, octets_of, shown, text_of
from sipmesh.sip.uri import CACHED_LENGTH, SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "REASONS",
    "Message",
    "Request",
    "Response",
    "build_request",
    "copied_rows",
    "parse_head",
    "respond",
    "stateless_tag",
]

VERSION: Final = "SIP/2.0"

_VERSION_ENDS: Final = f" {VERSION}"
_TRYING: Final = 100
_MAX_STATUS: Final = 699
_STATUS_DIGITS: Final = 3
_COPIED_ONCE: Final = bits_of("from", "to", "call-id", "cseq")


class Request(Message):
    """A request. *method* is case-sensitive, *uri* the raw Request-URI."""

    __slots__ = ("_ruri", "method", "uri", "version")

    def __init__(self, method: str, uri: str, rows: list[Row], body: bytes = b"", *, version: str = VERSION) -> None:
        super().__init__(rows, body)
        self.method = method
        self.uri = uri
        self.version = version
        self._ruri: SipUri | None = None

    @property
    def start_line(self) -> str:
        """The Request-Line."""
        return f"{self.method} {self.uri} {self.version}"

    @property
    def ruri(self) -> SipUri:
        """The Request-URI, read; RemoteError 400, or 416 where its scheme is not SIP's."""
        if self._ruri is None:
            self._ruri = SipUri.parse(self.uri)
        return self._ruri

    def set_uri(self, uri: str) -> None:
        """Aim the request at another Request-URI."""
        self.uri = one_line(uri)
        self._ruri = None

    def copy(self) -> Request:
        """Give a request of its own: edits of one do not show in the other."""
        other = Request(self.method, self.uri, [], version=self.version)
        other._ruri = self._ruri
        self._copy_rows_into(other)
        return other


class Response(Message):
    """A response. *status* is 0 where the start line held no number."""

    __slots__ = ("reason", "status", "version")

    def __init__(self, status: int, reason: str, rows: list[Row], body: bytes = b"", *, version: str = VERSION) -> None:
        super().__init__(rows, body)
        self.status = status
        self.reason = reason
        self.version = version

    @property
    def start_line(self) -> str:
        """The Status-Line."""
        return f"{self.version} {self.status} {self.reason}"

    def copy(self) -> Response:
        """Give a response of its own: edits of one do not show in the other."""
        other = Response(self.status, self.reason, [], version=self.version)
        self._copy_rows_into(other)
        return other


def parse_head(head: bytes) -> Request | Response:
    """Split a start line and header rows (without the empty line that ends them) into a message without a body.

    Every start line that could be SIP gives a message, so that it can be answered: what is wrong with it is
    :mod:`sipmesh.sip.check`'s matter. RemoteError for what is not SIP at all.
    """
    lines = text_of(head).split("\r\n")
    start, rows = lines[0], rows_of(lines, 1)
    # Method, Request-URI and version are checked by their own grammar; a Reason-Phrase, when it is first seen.
    flaws = LONE_LINE_BREAK if "\n" in start or "\r" in start else 0
    if start[:1] in "Ss" and ascii_upper(start[:4]) == "SIP/":
        response = _response(start, rows)
        response.flaws |= flaws
        return response
    request = _request(start, rows)
    request.flaws |= flaws
    return request


def _request(start: str, rows: list[Row]) -> Request:
    # Request-Line = Method SP Request-URI SP SIP-Version CRLF. Whatever stands between the first and the last space is
    # the URI, stray blanks included: its own parser refuses them (RFC 4475 3.1.2.8 to 3.1.2.10).
    at = start.find(" ")
    if at < 0:
        at = len(start)
    if start.endswith(_VERSION_ENDS):
        return Request(start[:at], start[at + 1 : -len(_VERSION_ENDS)], rows)
    uri, space, version = start[at + 1 :].rpartition(" ")
    if not space or (version and not ascii_upper(version).startswith("SIP/")):
        raise RemoteError(f"not a SIP start line: {shown(start)}", rule="RFC 3261 7.1")
    return Request(start[:at], uri, rows, version=_spelled(version))


def _response(start: str, rows: list[Row]) -> Response:
    read = _status_lines.get(start)
    if read is None:
        read = _status_line(start)
        if len(start) <= CACHED_LENGTH:
            keep(_status_lines, _MOST_STATUS_LINES, start, read)
    version, status, reason, flaws = read
    response = Response(status, reason, rows, version=version)
    response.flaws |= flaws
    return response


def _status_line(start: str) -> tuple[str, int, str, int]:
    # Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF
    version, _, rest = start.partition(" ")
    code, _, reason = rest.partition(" ")
    status = bounded(code, _MAX_STATUS) if len(code) == _STATUS_DIGITS and is_digits(code) else None
    return _spelled(version), status or 0, reason, flaws_in(start)


_status_lines: Final[dict[str, tuple[str, int, str, int]]] = {}
_MOST_STATUS_LINES: Final = 256


def _spelled(version: str) -> str:
    return VERSION if version == VERSION or ascii_upper(version) == VERSION else version


def build_request(
    method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b"", content_type: str | None = None
) -> Request:
    """Make a request; Content-Type (where given) and Content-Length are added after *headers*."""
    request = Request(method, uri, header_rows([*headers, *_body_headers(body, content_type)]), body)
    request.set_uri(uri)
    return request


def respond(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    headers: Iterable[tuple[str, str]] = (),
    to_tag: str | None = None,
    body: bytes = b"",
) -> Response:
    """Answer a request as RFC 3261 8.2.6 says; works for a malformed request too, with what it has.

    Every Via, and From, To, Call-ID and CSeq are copied byte for byte, then *headers* (Content-Type among them), then
    Content-Length. A To without a tag gets *to_tag*, or :func:`stateless_tag`, in every response but a 100.
    """
    phrase = REASONS.get(status, "") if reason is None else one_line(reason)
    added = [*headers, ("content-length", str(len(body)))]
    if status == _TRYING and (stamp := request.first("timestamp")) is not None:
        # 8.2.6.1: a Timestamp in the request MUST be copied into the 100.
        added.append(("timestamp", stamp))
    response = Response(status, phrase, copied_rows(request) + header_rows(added), body)
    if status > _TRYING and _wants_tag(request):
        response.replace("to", f"{request.first('to')};tag={to_tag or stateless_tag(request)}")
    return response


def stateless_tag(request: Request) -> str:
    """Give a To tag that is the same for each copy of one request (RFC 3261 8.2.7) and different for all others."""
    copied = "\n".join([row.line for row in copied_rows(request)])
    return blake2s(octets_of(copied), digest_size=8).hexdigest()


def _body_headers(body: bytes, content_type: str | None) -> list[tuple[str, str]]:
    of_type = [] if content_type is None else [("content-type", content_type)]
    return [*of_type, ("content-length", str(len(body)))]


def copied_rows(request: Request) -> list[Row]:
    """Give the rows that a response repeats: every Via, and one each of the others (a second one was the fault)."""
    rows: list[Row] = []
    missing = _COPIED_ONCE
    for row in request.rows:
        if row.bit & (VIA | missing):
            missing &= ~row.bit
            rows.append(row)
    return rows


def _wants_tag(request: Request) -> bool:
    try:
        return request.to.tag is None
    except RemoteError:  # the 400 that is being made says so; the row goes back as it came
        return False
