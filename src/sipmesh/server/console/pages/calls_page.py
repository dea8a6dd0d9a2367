"""The page of calls: records that an operator searches, pages through and exports, and the calls that are up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import web

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.access.guard import LOGIN
from sipmesh.server.console.operations import NotAllowedError
from sipmesh.server.console.pages.frame import see
from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.management.replies import CALLS
from sipmesh.sip.text import LWS
from sipmesh.storage.call_records.call_csv import csv_of
from sipmesh.storage.call_records.call_pages import CallPages
from sipmesh.storage.call_records.journal import line_of

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame
    from sipmesh.server.management.replies import CallsReply
    from sipmesh.storage.call_records.call_record import CallRecord

PATH: Final = "/calls"
EXPORT: Final = "/calls/export"
ON_PAGE: Final = 50
MOST_EXPORTED: Final = 10_000
KINDS: Final[Mapping[str, Mapping[str, object]]] = {
    "": {},
    "calls": {"only": "INVITE"},
    "messages": {"only": "MESSAGE"},
    "failed": {"failed": True},
    "up": {"up": True},
}
"""What the form offers, with the parameters of the operation."""

COLUMNS: Final = tuple(map(Column["CallRecord"], ("Start", "From", "To", "Outcome", "For", "Media", "Way")))
ASKED: Final = ("user", "since", "until", "kind", "call")
DAYS: Final[Mapping[str, int]] = {"today": 0, "yesterday": 1}
"""The buttons of the form that ask for one day in UTC, and how many days ago it was."""


class CallsPage:
    """The page of *frame*."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page: a form, and the newest records that it asks for. The audit log has a line for each page."""
        asked = _asked(request)
        given = _given(asked)
        reply: CallsReply | None = None
        if any(name in request.query for name in (*ASKED, "day", "before")):
            before = request.query.get("before", "")[:256]
            reply = await self._frame.read(request, CALLS.name, **given, before=before, most=ON_PAGE)
        kept = {name: value for name, value in asked.items() if value}
        records = reply.records if reply is not None else ()
        older = {**kept, "before": records[-1].id} if reply is not None and reply.has_more else None
        values = {
            "asked": asked,
            "kinds": tuple(KINDS),
            "days": tuple(DAYS),
            "calls": Table(COLUMNS, records, len(records), len(records), Wanted(PATH)),
            "is_asked": reply is not None,
            "missing": reply.told_missing if reply is not None else "",
            "older": f"{PATH}?{urlencode(older)}" if older else "",
            "exports": {kind: f"{EXPORT}?{urlencode({**kept, 'format': kind})}" for kind in ("csv", "jsonl")},
        }
        return "calls.html", values

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Answer with the newest `MOST_EXPORTED` records as a file."""
        if self._frame.guard.identify(request) is None:
            return see(LOGIN)
        try:
            records = await self._all(request, _given(_asked(request)))
        except (SipmeshError, NotAllowedError) as wrong:
            return self._frame.say_wrong(request, wrong)
        is_csv = request.query.get("format", "csv") == "csv"
        text = csv_of(records) if is_csv else b"".join(map(line_of, records)).decode()
        kind, name = ("text/csv", "calls.csv") if is_csv else ("application/x-ndjson", "calls.jsonl")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(text=text, content_type=kind, headers=headers)

    async def _all(self, request: web.Request, given: Mapping[str, object]) -> list[CallRecord]:
        pages = CallPages(MOST_EXPORTED)
        while not pages.is_complete:
            reply: CallsReply = await self._frame.read(request, CALLS.name, **given, **pages.wanted)
            pages.add(reply.records, has_more=reply.has_more)
        return pages.records


def _asked(request: web.Request) -> dict[str, str]:
    """Read the fields of the form from the query; a button for a day fills in the times."""
    asked = {name: request.query.get(name, "").strip(LWS)[:256] for name in ASKED}
    if (days := DAYS.get(request.query.get("day", ""))) is not None:
        begin = datetime.now(UTC).date() - timedelta(days=days)
        asked |= {"since": f"{begin}T00:00", "until": f"{begin + timedelta(days=1)}T00:00"}
    return asked


def _given(asked: Mapping[str, str]) -> dict[str, object]:
    """Give the parameters of the operation; raises `OperatorError` for a time that cannot be read."""
    given: dict[str, object] = {"user": asked["user"], "call": asked["call"], **KINDS.get(asked["kind"], {})}
    for name in ("since", "until"):
        if asked[name]:
            given[name] = _instant(asked[name])
    return given


def _instant(text: str) -> str:
    """Read what a field of the type ``datetime-local`` sends: a time in UTC, as the page says."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(f"{text} is no time; write it as 2026-11-30T14:00") from None
    return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).isoformat()
