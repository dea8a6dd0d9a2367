"""One HTTP request: its fields, the host that it means, and what a refusal says."""

from __future__ import annotations

import h11
import pytest

from sipmesh.transport.websocket.http_request import (
    UpgradeError,
    fields_of,
    first,
    must_be_http_1_1,
    must_mean_this_server,
    tokens,
    written,
)

HOSTS = frozenset({"fe1.example.test", "*.phones.example.test"})
HERE = "192.0.2.1"


def asked(*rows: bytes, version: bytes = b"1.1") -> h11.Request:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(
        b"\r\n".join((b"GET / HTTP/" + version, b"Host: fe1.example.test", *rows, b"", b"")),
    )
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    return request


def test_fields_are_found_by_their_name_in_lower_case() -> None:
    fields = fields_of(asked(b"ACCEPT-Encoding: gzip, br", b"accept-encoding:  zstd "))
    assert first(fields, "accept-encoding") == "gzip, br"
    assert tokens(fields, "accept-encoding") == ["gzip", "br", "zstd"]
    assert (first(fields, "origin"), tokens(fields, "origin")) == ("", [])


@pytest.mark.parametrize("name", [b"Origin", b"sec-websocket-key", b"Sec-WebSocket-Version"])
def test_field_that_decides_comes_once(name: bytes) -> None:
    assert fields_of(asked(name + b": a"))
    with pytest.raises(UpgradeError, match="more than one") as refused:
        fields_of(asked(name + b": a", name + b": b"))
    assert refused.value.status == 400


def test_request_is_http_1_1_without_a_body() -> None:
    good = asked()
    must_be_http_1_1(good, fields_of(good))
    for request, status in ((asked(version=b"1.0"), 505), (asked(b"Content-Length: 1"), 400)):
        with pytest.raises(UpgradeError) as refused:
            must_be_http_1_1(request, fields_of(request))
        assert refused.value.status == status


@pytest.mark.parametrize("host", ["fe1.example.test", "FE1.example.test:1", "a.phones.example.test", HERE, f"{HERE}:1"])
def test_host_of_this_server(host: str) -> None:
    must_mean_this_server(host, HOSTS, HERE)


@pytest.mark.parametrize("host", ["", "evil.test", "phones.example.test", "a.b.phones.example.test", "192.0.2.2"])
def test_other_host(host: str) -> None:
    with pytest.raises(UpgradeError) as refused:
        must_mean_this_server(host, HOSTS, HERE)
    assert refused.value.status == 421
    assert host not in refused.value.text or not host  # what the peer sent goes into the log only


@pytest.mark.parametrize("is_head", [False, True])
def test_refusal_is_one_response_that_closes(is_head: bool) -> None:  # noqa: FBT001
    refusal = UpgradeError("no", rule="a rule", status=426, headers=(("Upgrade", "websocket"),))
    refusal.is_head = is_head
    head, _, body = refusal.answer().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"Connection: Upgrade, close" in head
    text = b"This port is for SIP over WebSocket only: no (a rule).\n"
    assert f"Content-Length: {len(text)}".encode() in head
    assert body == (b"" if is_head else text)


def test_answer_is_written_with_its_reason() -> None:
    assert written(304, (("ETag", '"1"'),)) == b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
