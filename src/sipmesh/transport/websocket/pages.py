"""The files of the web phone, which a WebSocket port serves to browsers (RFC 9110, RFC 9111).

A request gets one answer, and the connection closes. The files are in memory: no path of a request reaches a file system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from sipmesh.sip.text import ascii_lower
from sipmesh.transport.websocket.http_request import (
    Fields,
    Headers,
    UpgradeError,
    first,
    must_be_http_1_1,
    must_mean_this_server,
    tokens,
    written,
)

PHONE: Final = "/phone"
"""The path of the web phone."""

GZIP: Final = "gzip"

CHECKED: Final = "no-cache"
"""A browser asks each time whether its copy is the newest one (RFC 9111 section 5.2.2.4)."""

FOREVER: Final = "public, max-age=31536000, immutable"
"""For a file whose name changes with its octets (RFC 8246)."""

_CONTENT: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connects}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY: Final[Headers] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "microphone=(self), camera=(), geolocation=()"),
)
"""What each page says to the browser: no script but ours, no frame around it, and the microphone for us alone."""


def security(connects: Sequence[str] = ()) -> Headers:
    """Return what a page says to the browser; its script may ask our own origin and those of *connects*."""
    return (("Content-Security-Policy", _CONTENT.format(connects=" ".join(("'self'", *connects)))), *SECURITY)


class Page:
    """One file. *body* is compressed with gzip; *etag* changes with it (RFC 9110 section 8.8.3).

    *connects* are the web origins that its script may ask. *whole* is the answer to a GET, and *head* its header. All links
    share these octets, so a page that waits costs no memory.
    """

    __slots__ = ("body", "cache", "connects", "content_type", "etag", "head", "status", "whole")

    def __init__(
        self,
        content_type: str,
        body: bytes,
        etag: str,
        cache: str = CHECKED,
        status: int = 200,
        connects: Sequence[str] = (),
    ) -> None:
        self.content_type, self.body, self.etag, self.cache, self.status = content_type, body, etag, cache, status
        self.connects = tuple(connects)
        length: Headers = (("Content-Encoding", GZIP), ("Content-Length", str(len(body))))
        self.head = written(status, (*self.headers, *length))
        self.whole = self.head + body

    @property
    def headers(self) -> Headers:
        """The header fields of each answer, without those of the body."""
        return (
            ("Content-Type", self.content_type),
            ("Cache-Control", self.cache),
            ("ETag", self.etag),
            ("Vary", "Accept-Encoding"),
            *security(self.connects),
            ("Connection", "close"),
        )


Pages = Mapping[str, Page]
"""The pages of a port, by their path."""

NO_PAGES: Final[Pages] = {}


class PageError(UpgradeError):
    """A request that neither opens a WebSocket nor names a page."""

    about: ClassVar[str] = f"This port is for SIP over WebSocket and for the web phone at {PHONE}"


def asks_for_page(fields: Fields, pages: Pages) -> bool:
    """Tell whether a request is for *pages*: it asks for no upgrade."""
    return bool(pages) and "upgrade" not in fields


def page_answer(request: Any, fields: Fields, pages: Pages, hosts: frozenset[str], here: str) -> bytes:
    """Return the answer to *request*, an ``h11.Request``. Raises :class:`UpgradeError` if there is no page for it."""
    is_head = request.method == b"HEAD"
    try:
        _must_be_a_read(request, fields)
        must_mean_this_server(first(fields, "host"), hosts, here)
        page = _page_at(request.target.decode("latin-1"), pages)
        return _answer(page, fields, is_head=is_head)
    except UpgradeError as wrong:
        wrong.is_head = is_head
        raise


def _must_be_a_read(request: Any, fields: Fields) -> None:
    if request.method not in {b"GET", b"HEAD"}:
        allowed: Headers = (("Allow", "GET, HEAD"),)
        raise PageError("the method is not GET or HEAD", rule="RFC 9110 section 15.5.6", status=405, headers=allowed)
    must_be_http_1_1(request, fields)


def _page_at(target: str, pages: Pages) -> Page:
    page = pages.get(target.partition("?")[0])
    if page is None:
        raise PageError("there is no such page", rule="RFC 9110 section 15.5.5", status=404)
    return page


def _answer(page: Page, fields: Fields, *, is_head: bool) -> bytes:
    """Return the answer with *page*; a browser that has it gets no body."""
    if _is_known(fields, page):
        return written(304, page.headers)
    if not _accepts_gzip(fields):
        raise PageError("pages are compressed with gzip only", rule="RFC 9110 section 12.5.3", status=406)
    return page.head if is_head else page.whole


def _is_known(fields: Fields, page: Page) -> bool:
    """Tell whether the browser has this page (RFC 9110 section 13.1.2)."""
    known = [etag.removeprefix("W/") for etag in tokens(fields, "if-none-match")]
    return page.status == 200 and (page.etag in known or known == ["*"])  # noqa: PLR2004 - HTTP's own number


def _accepts_gzip(fields: Fields) -> bool:
    """Tell whether gzip is acceptable (RFC 9110 section 12.5.3); each coding is, where the field is missing."""
    if "accept-encoding" not in fields:
        return True
    weights = dict(_weighed(token) for token in tokens(fields, "accept-encoding"))
    return weights.get(GZIP, weights.get("*", False))


def _weighed(token: str) -> tuple[str, bool]:
    """Return a coding, and whether its weight is above zero."""
    coding, _, weight = ascii_lower(token).replace(" ", "").partition(";q=")
    return coding, not weight or bool(weight.strip("0."))
