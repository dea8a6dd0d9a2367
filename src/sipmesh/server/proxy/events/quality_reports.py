"""Takes the reports of quality that phones publish (RFC 6035), for the records of their calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.events.packages import event_type
from sipmesh.routing.events.quality_report import CONTENT_TYPE, EVENT, read_quality
from sipmesh.routing.events.stored_message import content_type
from sipmesh.routing.outcome import Answer
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.proxy.records.call_recorder import CallRecorder
    from sipmesh.sip.message import Request


class QualityReports:
    """Gives reports to *records*, where these are made; *token* makes entity tags."""

    def __init__(self, records: CallRecorder, token: Callable[[], str]) -> None:
        self._records, self._token = records, token

    def takes(self, request: Request) -> bool:
        """Tell whether *request* is a report; without records it is a PUBLISH of an unknown package."""
        return request.method == "PUBLISH" and self._records.is_on and event_type(request) == EVENT

    def serve(self, request: Request, identity: str | None) -> Answer:
        """Answer the report of the user *identity*; raises `RemoteError` if it cannot be read."""
        if identity is None:
            return Answer(Status.FORBIDDEN, code=Code.NOT_AUTHENTICATED, why="a report of quality needs a login")
        if content_type(request) != CONTENT_TYPE:
            return Answer(Status.UNSUPPORTED_MEDIA_TYPE, headers=(("Accept", CONTENT_TYPE),))
        self._records.reported(request, identity, read_quality(request.body))
        return Answer(Status.OK, headers=(("SIP-ETag", self._token()), ("Expires", "0")))
