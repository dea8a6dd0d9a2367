"""The page of a trace, and its stream: one row for each message, from whichever server shows it first."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from sipmesh.errors import SipmeshError
from sipmesh.server.console.access.guard import OPERATOR, REFRESH_FIELD
from sipmesh.server.console.operations import NotAllowedError
from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.management.replies import TRACE_NETWORK
from sipmesh.server.tracing.hops import Hops
from sipmesh.sip.text import LWS

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.console.pages.event_streams import EventStream, EventStreams
    from sipmesh.server.console.pages.frame import Frame
    from sipmesh.server.tracing.traced_message import TraceReply

EVENTS: Final = "/trace/events"
ASK_EVERY_S: Final = 0.5
COLUMNS: Final = tuple(map(Column[object], ("At", "From", "To", "Message", "Sender, changes")))
MESSAGES: Final = Table.of(COLUMNS, (), Wanted("/trace"))
"""The table before the first message has come."""


class TracePage:
    """The page of *frame* with its stream, one of *streams*."""

    def __init__(self, frame: Frame, streams: EventStreams) -> None:
        self._frame, self._streams = frame, streams

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page: a form, and below it the trace of what the form has asked for, which begins now."""
        what, bodies = request.query.get("what", "").strip(LWS), "bodies" in request.query
        if not what:
            return "trace.html", {"what": "", "bodies": False, "faults": (), "events": "", "messages": MESSAGES}
        given = {"id": secrets.token_hex(8), "what": what, "bodies": bodies}
        begun: TraceReply = await self._frame.read(request, TRACE_NETWORK.name, **given)
        asked = urlencode({**given, "bodies": "1" if bodies else "", REFRESH_FIELD: 1})
        shown = {"what": what, "bodies": bodies, "faults": begun.faults, "messages": MESSAGES}
        return "trace.html", {**shown, "events": f"{EVENTS}?{asked}"}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the stream of a trace: see `EventStreams.opened`."""
        given = {
            "id": request.query.get("id", ""),
            "what": request.query.get("what", ""),
            "bodies": request.query.get("bodies") == "1",
        }
        async with self._streams.opened(request) as stream:
            with suppress(
                SipmeshError, NotAllowedError
            ):  # such as a server that has ceased to lead: the browser connects again
                await self._send(request, stream, given)
        return stream.response

    async def _send(self, request: web.Request, stream: EventStream, given: Mapping[str, object]) -> None:
        """Send each message once, until the session has ended.

        A message that its receiver has shown first comes again with the changes of its sender: the page joins the two rows.
        """
        hops, numbers = Hops(), count(1)
        while stream.goes_on:
            reply: TraceReply = await self._frame.read_as(request[OPERATOR], TRACE_NETWORK.name, **given)
            for hop in map(hops.hop, reply.messages):
                if not hop.is_first and not (hop.changes and hop.message.is_request):
                    continue
                await stream.send(next(numbers), self._frame.render_part("trace_row.html", hop=hop))
            await asyncio.sleep(ASK_EVERY_S)
