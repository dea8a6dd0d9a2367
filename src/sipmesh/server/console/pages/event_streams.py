"""The streams of pages that go on (server-sent events, WHATWG HTML section 9.2), counted for each session.

A stream reads nothing that its page does not. It ends as soon as its session has ended, and its requests do not keep the session
from ending.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.server.console.access.guard import COOKIE, HEADERS, REFRESH_FIELD, SESSION
from sipmesh.server.console.access.secret_table import hash_of

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame

MOST_OF_SESSION: Final = 4
"""Streams of one session, such as tabs of a browser."""

MOST_STREAMS: Final = 32
"""Streams of all sessions: connections of the console are bounded too."""

LONGEST_STREAM_S: Final = 45.0
"""Seconds after which a stream ends, before its connection does; the browser connects again."""

RETRY_MS: Final = 1000


class EventStream:
    """One open stream, whose events are numbered rows of a table."""

    def __init__(self, frame: Frame, request: web.Request, response: web.StreamResponse) -> None:
        self._frame, self._request, self.response = frame, request, response

    @property
    def goes_on(self) -> bool:
        """Whether the session still stands."""
        return self._frame.guard.identify(self._request) is not None

    async def send(self, number: int, row: str) -> None:
        """Send the HTML of the cells of one row."""
        await self.response.write(f"id: {number}\n{_data(f'<tr>{row}</tr>')}\n\n".encode())


class EventStreams:
    """The streams of all pages of *frame*."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._open = Counter[str]()

    @asynccontextmanager
    async def opened(self, request: web.Request) -> AsyncIterator[EventStream]:
        """Begin to answer *request* with a stream, which ends after `LONGEST_STREAM_S`, or when the reader has gone.

        Answers with HTTP 403 without a session of a browser, and with 429 if the session has too many streams.
        """
        self._frame.guard.identify(request)
        if request.get(SESSION) is None or REFRESH_FIELD not in request.query:
            raise web.HTTPForbidden(text="log in, and load the page\n")
        session = hash_of(request.cookies.get(COOKIE, ""))
        if self._open[session] >= MOST_OF_SESSION or self._open.total() >= MOST_STREAMS:
            raise web.HTTPTooManyRequests(
                headers={"Retry-After": "60"}, text="too many pages with live rows are open\n"
            )
        self._open[session] += 1
        try:
            response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
            await response.prepare(request)
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(LONGEST_STREAM_S):
                    await response.write(b"retry: %d\n\n" % RETRY_MS)
                    yield EventStream(self._frame, request, response)
        finally:
            self._open -= Counter((session,))


def _data(text: str) -> str:
    """Return *text* as the field of an event; each of its lines has a field of its own, which the browser joins again."""
    return "\n".join(f"data: {line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
