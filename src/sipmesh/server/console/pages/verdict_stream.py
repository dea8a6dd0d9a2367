"""The page of the last verdicts, and its stream of new verdicts (server-sent events, WHATWG HTML section 9.2).

An event is a row of the table, as the page has it. The stream reads nothing that the page does not: it ends as soon as its
session has ended, and its requests do not keep the session from ending. Without JavaScript the page is loaded again and again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from sipmesh.server.console.access.guard import COOKIE, HEADERS, OPERATOR, REFRESH_FIELD, SESSION
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.console.operations import VERDICTS
from sipmesh.server.console.parameters import LONGEST_NUMBER
from sipmesh.server.console.verdict_feed import VerdictFeed
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.console.pages.frame import Frame
    from sipmesh.server.console.replies import VerdictsReply

EVENTS: Final = "/verdicts/events"
MOST_OF_SESSION: Final = 4
"""Streams of one session, such as tabs of a browser."""

MOST_STREAMS: Final = 32
"""Streams of all sessions: connections of the console are bounded too."""

LONGEST_STREAM_S: Final = 45.0
"""Seconds after which a stream ends, before its connection does; the browser connects again."""

RETRY_MS: Final = 1000


class VerdictStream:
    """The page of *frame*, and its stream."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._open = Counter[str]()
        self._readers: dict[int, Operator] = {}
        self._feed = VerdictFeed(self._read)

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the template of the page, with the number of the newest verdict."""
        told = await self._frame.read(request, VERDICTS)
        return "verdicts.html", {"told": told, "since": self._feed.note(told), "events": EVENTS}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the stream: HTTP 403 without a session of a browser, 429 if it has too many streams."""
        self._frame.guard.identify(request)
        if request.get(SESSION) is None or REFRESH_FIELD not in request.query:
            raise web.HTTPForbidden(text="log in, and load the page of the verdicts\n")
        with self._counted(request.cookies.get(COOKIE, "")), self._reading(request):
            response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
            await response.prepare(request)
            with suppress(ConnectionError, TimeoutError):
                async with self._feed.watched(), asyncio.timeout(LONGEST_STREAM_S):
                    await self._send(request, response)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send what is new until the session has ended."""
        number = _number(request)
        await response.write(b"retry: %d\n\n" % RETRY_MS)
        while self._frame.guard.identify(request) is not None:
            for number, entry in self._feed.since(number):  # noqa: B020 - the last number that was sent
                row = self._frame.render_part("verdict_row.html", verdict=entry)
                await response.write(f"id: {number}\ndata: {_one_line(row)}\n\n".encode())
            async with self._feed.changed:
                await self._feed.changed.wait()

    async def _read(self) -> VerdictsReply:
        """Read the verdicts for all who watch, as the operator of one stream that is open."""
        told: VerdictsReply = await self._frame.read_as(next(iter(self._readers.values())), VERDICTS)
        return told

    @contextmanager
    def _reading(self, request: web.Request) -> Iterator[None]:
        self._readers[id(request)] = request[OPERATOR]
        try:
            yield
        finally:
            del self._readers[id(request)]

    @contextmanager
    def _counted(self, secret: str) -> Iterator[None]:
        session = hash_of(secret)
        if self._open[session] >= MOST_OF_SESSION or self._open.total() >= MOST_STREAMS:
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60"}, text="too many pages of verdicts are open\n")
        self._open[session] += 1
        try:
            yield
        finally:
            self._open -= Counter((session,))


def _number(request: web.Request) -> int:
    """Return the number of the last verdict that the page has: the browser says so when it connects again."""
    said = request.headers.get("Last-Event-ID") or request.query.get("since", "")
    return int(said) if is_digits(said) and len(said) <= LONGEST_NUMBER else 0


def _one_line(text: str) -> str:
    """Return *text* without the line breaks that would end a field of an event."""
    return text.replace("\r", " ").replace("\n", " ")
