"""The page of the last verdicts, and its stream of new verdicts.

An event is a row of the table, as the page has it. Without JavaScript the page is loaded again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from sipmesh.server.console.access.guard import OPERATOR
from sipmesh.server.console.operations import VERDICTS
from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.console.parameters import LONGEST_NUMBER
from sipmesh.server.console.replies import VerdictEntry
from sipmesh.server.console.verdict_feed import VerdictFeed
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.console.pages.event_streams import EventStream, EventStreams
    from sipmesh.server.console.pages.frame import Frame
    from sipmesh.server.console.replies import VerdictsReply

EVENTS: Final = "/verdicts/events"
COLUMNS: Final = (
    Column[VerdictEntry]("At", lambda one: one.at),
    Column[VerdictEntry]("Server", lambda one: one.server),
    Column[VerdictEntry]("Verdict", lambda one: one.code),
    Column[VerdictEntry]("Peer", lambda one: one.peer),
    Column[VerdictEntry]("Link", lambda one: one.kind),
    Column[VerdictEntry]("From", lambda one: one.remote),
    Column[VerdictEntry]("Remedy"),
)


class VerdictStream:
    """The page of *frame*, and its stream, one of *streams*."""

    def __init__(self, frame: Frame, streams: EventStreams) -> None:
        self._frame, self._streams = frame, streams
        self._readers: dict[int, Operator] = {}
        self._feed = VerdictFeed(self._read)

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the template of the page, with the number of the newest verdict."""
        told = await self._frame.read(request, VERDICTS)
        verdicts = Table.of(COLUMNS, told.verdicts, Wanted.of(request.path, request.query))
        return "verdicts.html", {"told": told, "verdicts": verdicts, "since": self._feed.note(told), "events": EVENTS}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the stream: see `EventStreams.opened`."""
        async with self._streams.opened(request) as stream:
            with self._reading(request):
                async with self._feed.watched():
                    await self._send(request, stream)
        return stream.response

    async def _send(self, request: web.Request, stream: EventStream) -> None:
        """Send what is new until the session has ended."""
        number = _number(request)
        while stream.goes_on:
            for number, entry in self._feed.since(number):  # noqa: B020 - the last number that was sent
                await stream.send(number, self._frame.render_part("verdict_row.html", verdict=entry))
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


def _number(request: web.Request) -> int:
    """Return the number of the last verdict that the page has: the browser says so when it connects again."""
    said = request.headers.get("Last-Event-ID") or request.query.get("since", "")
    return int(said) if is_digits(said) and len(said) <= LONGEST_NUMBER else 0
