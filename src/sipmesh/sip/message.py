"""Requests and responses: parse, build and answer them (RFC 3261 section 7, 8.1.1 and 8.2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import bounded
from sipmesh.sip.header import Message
from sipmesh.sip.names import bits_of
from sipmesh.sip.rows import (
    LONE_LINE_BREAK,
    TO,
    VIA,
    Row,
    flaws_in,
    header_rows,
    made_row,
    one_line,
    response_rows_of,
    rows_of,
)
from sipmesh.sip.status import REASONS, TRYING
from sipmesh.sip.tel import target_uri
from sipmesh.sip.text import ascii_upper, is_digits, shown, text_of
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH, SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
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

_VERSION_BEGINS: Final = "SIP/"
_VERSION_ENDS: Final = f" {VERSION}"
_MAX_STATUS: Final = 699
_STATUS_DIGITS: Final = 3
_COPIED_ONCE: Final = bits_of("from", "to", "call-id", "cseq")
NO_BODY: Final = made_row("content-length", "0")


class Request(Message):
    """A request. *method* is case-sensitive. *uri* is the Request-URI as received."""

    __slots__ = ("_ruri", "method", "renamed", "uri", "version")

    def __init__(self, method: str, uri: str, rows: list[Row], body: bytes = b"", *, version: str = VERSION) -> None:
        super().__init__(rows, body)
        self.method = method
        self.uri = uri
        self.version = version
        self.renamed: list[Row] = []
        self._ruri: SipUri | None = None

    @property
    def start_line(self) -> str:
        """The Request-Line."""
        return f"{self.method} {self.uri} {self.version}"

    @property
    def ruri(self) -> SipUri:
        """The parsed Request-URI, of a ``tel:`` URI or a service URN its SIP form; RemoteError as of `target_uri`."""
        if self._ruri is None:
            self._ruri = target_uri(self.uri)
        return self._ruri

    def set_uri(self, uri: str) -> None:
        """Replace the Request-URI; LocalError if *uri* contains a line break."""
        self.uri = one_line(uri)
        self._ruri = None

    def rename(self, row: Row) -> None:
        """Replace From or To of a request that came in by *row*. Its responses repeat the row that it came with."""
        self.renamed.append(self.row(row.bit))
        self.put(row)

    def copy(self) -> Request:
        """Give an independent copy: an edit of one request does not change the other."""
        other = Request(self.method, self.uri, [], version=self.version)
        other._ruri = self._ruri
        self._copy_rows_into(other)
        return other


class Response(Message):
    """A response. *status* is 0 if the start line has no valid status code."""

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
        """Give an independent copy: an edit of one response does not change the other."""
        other = Response(self.status, self.reason, [], version=self.version)
        self._copy_rows_into(other)
        return other

    def without_body(self) -> Response:
        """Give a copy to keep for as long as a call is up: the body may have megabytes."""
        other = self.copy()
        other.body = b""
        return other


def parse_head(head: bytes) -> Request | Response:
    """Parse a start line and header rows, without the empty line at their end, into a message without a body.

    Every start line that could be SIP gives a message, so that it can be answered. :mod:`sipmesh.sip.check` finds its
    errors. RemoteError if the start line is not SIP at all.
    """
    lines = text_of(head).split("\r\n")
    start = lines[0]
    if start.startswith(_VERSION_BEGINS) or ascii_upper(start[: len(_VERSION_BEGINS)]) == _VERSION_BEGINS:
        return _response(start, response_rows_of(lines, 1))
    request = _request(start, rows_of(lines, 1))
    # Method, Request-URI and version are checked by their own grammar. A Status-Line is checked when it is first seen.
    if "\n" in start or "\r" in start:
        request.flaws |= LONE_LINE_BREAK
    return request


def _request(start: str, rows: list[Row]) -> Request:
    # Request-Line = Method SP Request-URI SP SIP-Version CRLF. All text between the first and the last space is the URI.
    # The parser of URIs refuses stray blanks (RFC 4475 3.1.2.8 to 3.1.2.10).
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
            _status_lines.keep(start, read)
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


_status_lines: Final[TextCache[tuple[str, int, str, int]]] = TextCache(256)


def _spelled(version: str) -> str:
    return VERSION if version == VERSION or ascii_upper(version) == VERSION else version


def build_request(
    method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b"", content_type: str | None = None
) -> Request:
    """Build a request. Content-Type (if it is not None) and Content-Length are added after *headers*."""
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
    """Build the response to a request (RFC 3261 8.2.6), also to a malformed one.

    Copied octet for octet: every Via, From, To, Call-ID and CSeq, as far as they are present. Then follow *headers* (which
    include Content-Type) and Content-Length. *reason* None means the default phrase of the status.

    A To without a tag gets *to_tag*, or :func:`stateless_tag` if that is None, except in a 100.
    """
    phrase = REASONS.get(status, "") if reason is None else one_line(reason)
    rows = copied_rows(request)
    if status > TRYING and _wants_tag(request):
        tag = to_tag or _tag_of(rows)
        rows = [made_row("to", f"{row.value};tag={tag}") if row.bit == TO else row for row in rows]
    rows += header_rows(headers)
    rows.append(made_row("content-length", str(len(body))) if body else NO_BODY)
    if status == TRYING and (stamp := request.first("timestamp")) is not None:
        # 8.2.6.1: a Timestamp in the request MUST be copied into the 100.
        rows.append(made_row("timestamp", stamp))
    return Response(status, phrase, rows, body)


def stateless_tag(request: Request) -> str:
    """Give a To tag that is the same for all copies of one request (RFC 3261 8.2.7), and different for other requests.

    It is a keyed hash of 63 bits (SipHash, PEP 456) with a key of this process. A copy comes on the link of its request, and so
    to the same process.
    """
    return _tag_of(copied_rows(request))


def _tag_of(copied: list[Row]) -> str:
    return str(abs(hash("\n".join([row.line for row in copied]))))


def _body_headers(body: bytes, content_type: str | None) -> list[tuple[str, str]]:
    of_type = [] if content_type is None else [("content-type", content_type)]
    return [*of_type, ("content-length", str(len(body)))]


def copied_rows(request: Request) -> list[Row]:
    """Give the rows that a response copies: every Via, and the first row each of From, To, Call-ID and CSeq."""
    rows: list[Row] = []
    missing = _COPIED_ONCE
    for row in request.rows:
        if row.bit & (VIA | missing):
            missing &= ~row.bit
            rows.append(row)
    return as_received(request, rows) if request.renamed else rows


def as_received(request: Request, rows: list[Row]) -> list[Row]:
    """Give *rows* of a request with those that it came with in place of those that were renamed."""
    came = {row.bit: row for row in reversed(request.renamed)}
    return [came.get(row.bit, row) for row in rows]


def _wants_tag(request: Request) -> bool:
    try:
        return request.to.tag is None
    except RemoteError:  # this is a 400 for a malformed To, which is copied unchanged
        return False
