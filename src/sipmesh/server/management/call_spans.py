"""Records of calls as spans of OpenTelemetry: OTLP over HTTP, in its JSON encoding.

Names of spans and attributes follow the convention of the OpenSIPS module `opentelemetry` (``sip.…``) and OpenTelemetry's own.
What only this network knows is below ``sipmesh.``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from sipmesh.sip.text import octets_of

if TYPE_CHECKING:
    from sipmesh.storage.call_records.call_record import CallRecord

INTERNAL, SERVER = 1, 2
"""Kinds of span."""

ERROR: Final = 2
FIRST_SERVER_ERROR: Final = 500
"""As for HTTP, a response of 400 to 499, such as 486, is no error of the server that gives it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def spans_request(records: Iterable[CallRecord]) -> bytes:
    """Give the body of a request to ``/v1/traces``: a span for each call that has ended, and for each message.

    All records of one Call-ID are one trace. A record always gives the same ids: what is sent again replaces what was sent
    before. An answered call has two spans within its own, ``ringing`` and ``talking``.
    """
    by_server = groupby(sorted(records, key=lambda record: record.server), key=lambda record: record.server)
    groups = [_of_server(server, [span for record in found for span in _spans(record)]) for server, found in by_server]
    return json.dumps({"resourceSpans": groups}, separators=(",", ":")).encode()


def _of_server(server: str, spans: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    resource = _attributes({"service.name": "sipmesh", "service.instance.id": server})
    return {"resource": {"attributes": resource}, "scopeSpans": [{"scope": {"name": "sipmesh"}, "spans": spans}]}


def _spans(record: CallRecord) -> list[dict[str, Any]]:
    end = record.end or record.answer or record.start
    whole = _span(record, "", SERVER, f"{record.method} request", record.start, end)
    whole["attributes"] = _attributes(_facts(record))
    if record.status >= FIRST_SERVER_ERROR:
        whole["status"] = {"code": ERROR, "message": record.why}
    if record.answer is None or record.method != "INVITE":
        return [whole]
    return [
        whole,
        _span(record, "ringing", INTERNAL, "ringing", record.start, record.answer),
        _span(record, "talking", INTERNAL, "talking", record.answer, end),
    ]


def _span(record: CallRecord, part: str, kind: int, name: str, start: datetime, end: datetime) -> dict[str, Any]:
    """Give a span of *record*; *part* is empty for that of the whole call."""
    span: dict[str, Any] = {
        "traceId": blake2s(octets_of(record.call_id), digest_size=16).hexdigest(),
        "spanId": _span_id(record, part),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": _nanoseconds(start),
        "endTimeUnixNano": _nanoseconds(end),
    }
    if part:
        span["parentSpanId"] = _span_id(record, "")
    return span


def _span_id(record: CallRecord, part: str) -> str:
    return blake2s(octets_of(f"{record.server}\n{record.id}\n{part}"), digest_size=8).hexdigest()


def _nanoseconds(at: datetime) -> str:
    return str((at - _EPOCH) // _MICROSECOND * 1000)


def _facts(record: CallRecord) -> Mapping[str, object]:
    return {
        "network.protocol.name": "sip",
        "network.protocol.version": "2.0",
        "network.transport": "tls",
        "server.address": record.callee.rpartition("@")[2],
        "sip.request.method": record.method,
        "sip.response.status_code": record.status,
        "sip.response.reason": record.why,
        "sip.call_id": record.call_id,
        "error.type": (record.code or str(record.status)) if record.has_failed else "",
        "sipmesh.record.id": record.id,
        "sipmesh.caller": record.caller,
        "sipmesh.caller.proof": record.proof,
        "sipmesh.caller.withheld": record.withheld,
        "sipmesh.callee": record.callee,
        "sipmesh.answered_by": record.answered_by,
        "sipmesh.media": record.media,
        "sipmesh.hops": list(record.hops),
        "sipmesh.forwarded": record.forwarded,
        "sipmesh.trunk": record.trunk,
        "sipmesh.verdict": record.code,
        "sipmesh.reference": record.reference,
    }


def _attributes(facts: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Write *facts* as attributes; what is empty is left out."""
    return [{"key": key, "value": _value(value)} for key, value in facts.items() if value not in ("", [])]


def _value(value: object) -> Mapping[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": str(value)}
