"""Spans of OpenTelemetry are what its own schema of the protocol reads."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sipmesh.server.management.call_spans import spans_request
from sipmesh.storage.call_records.call_record import CallRecord
from support.recording import record

BEGAN_NS = int(datetime(2026, 11, 30, 13, 5, tzinfo=UTC).timestamp()) * 1_000_000_000


def as_protobuf(member: Any) -> Any:
    """Write ids in base64, as JSON of protobuf has octets; OTLP has hexadecimal digits instead."""
    if isinstance(member, list):
        return [as_protobuf(one) for one in member]
    if not isinstance(member, dict):
        return member
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key.endswith("Id") else as_protobuf(value)
        for key, value in member.items()
    }


def read(*records: CallRecord) -> ExportTraceServiceRequest:
    """Read the request for *records* with the messages of OpenTelemetry; an unknown member is an error."""
    document = as_protobuf(json.loads(spans_request(records)))
    return json_format.ParseDict(document, ExportTraceServiceRequest())


def spans(*records: CallRecord) -> list[Span]:
    return [span for group in read(*records).resource_spans for scope in group.scope_spans for span in scope.spans]


def facts(span: Span) -> dict[str, Any]:
    """Give the attributes of a span, each with its value."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in span.attributes}


def test_an_answered_call_rings_and_talks() -> None:
    whole, ringing, talking = spans(record())
    assert [whole.name, ringing.name, talking.name] == ["INVITE request", "ringing", "talking"]
    assert [whole.kind, ringing.kind] == [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_INTERNAL]
    times = [
        (span.start_time_unix_nano - BEGAN_NS, span.end_time_unix_nano - BEGAN_NS) for span in (whole, ringing, talking)
    ]
    assert times == [(0, 12 * 10**9), (0, 2 * 10**9), (2 * 10**9, 12 * 10**9)]
    assert {ringing.parent_span_id, talking.parent_span_id} == {whole.span_id}
    assert {span.trace_id for span in (ringing, talking)} == {whole.trace_id}
    assert (len(whole.trace_id), len(whole.span_id), whole.parent_span_id) == (16, 8, b"")


def test_attributes_are_those_of_the_record() -> None:
    found = facts(spans(record())[0])
    hops = [one.string_value for one in found.pop("sipmesh.hops").values]
    assert hops == ["fe1.example.test"]
    assert found == {
        "network.protocol.name": "sip",
        "network.protocol.version": "2.0",
        "network.transport": "tls",
        "server.address": "example.test",
        "sip.request.method": "INVITE",
        "sip.response.status_code": 200,
        "sip.response.reason": "ended by BYE",
        "sip.call_id": "c1",
        "sipmesh.record.id": "fe1.example.test-1-1",
        "sipmesh.caller": "alice@example.test",
        "sipmesh.caller.proof": "login",
        "sipmesh.caller.withheld": False,
        "sipmesh.callee": "bob@example.test",
        "sipmesh.answered_by": "bob@example.test",
        "sipmesh.media": "SRTP",
    }


@pytest.mark.parametrize(
    ("status", "code", "error", "is_error"),
    [(486, "", "486", False), (403, "sender-not-allowed", "sender-not-allowed", False), (503, "", "503", True)],
)
def test_a_failed_call_is_one_span_with_its_error(status: int, code: str, error: str, *, is_error: bool) -> None:
    (span,) = spans(record(status=status, code=code, answer=None, seconds=None, why="so"))
    assert facts(span)["error.type"] == error
    assert (span.status.code == 2, span.status.message) == (is_error, "so" if is_error else "")


def test_a_message_is_one_span() -> None:
    (span,) = spans(record(method="MESSAGE", status=202))
    assert span.name == "MESSAGE request"


def test_records_of_two_servers_are_two_resources_and_one_trace() -> None:
    found = read(record(server="edge1.example.test"), record(), record(server="edge1.example.test", id="x"))
    names = [
        [one.value.string_value for one in group.resource.attributes if one.key == "service.instance.id"]
        for group in found.resource_spans
    ]
    assert names == [["edge1.example.test"], ["fe1.example.test"]]
    ids = [span.span_id for group in found.resource_spans for span in group.scope_spans[0].spans]
    assert len(set(ids)) == 9
    assert len({span.trace_id for group in found.resource_spans for span in group.scope_spans[0].spans}) == 1


def test_what_is_sent_again_has_the_same_ids() -> None:
    assert spans_request([record()]) == spans_request([record()])
