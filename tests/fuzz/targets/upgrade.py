"""The HTTP request that opens a WebSocket: chunks make no difference, and each answer is one HTTP response."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import h11

from fuzz.cuts import in_chunks
from fuzz.target import PropertyError, Target, require
from sipmesh.transport.websocket.http_request import UpgradeError
from sipmesh.transport.websocket.pages import Page
from sipmesh.transport.websocket.upgrade import MOST_OCTETS, Upgrade, UpgradePolicy

POLICY: Final = UpgradePolicy(frozenset({"fe1.example.test"}), frozenset({"https://phone.example.test"}))

PAGES: Final = {"/phone": Page("text/html", b"page", '"1"')}
WITH_PAGES: Final = UpgradePolicy(POLICY.hosts, POLICY.origins, PAGES)
PAGE: Final = (
    b'GET /phone HTTP/1.1\r\nHost: fe1.example.test\r\nAccept-Encoding: gzip;q=0.5\r\nIf-None-Match: "1"\r\n\r\n'
)


def check(data: bytes) -> None:
    """Read *data* as the first octets of a connection, at once and in chunks."""
    if not data:
        return  # h11 takes no octets for the end of the connection
    status, answer, rest = _answered([data])
    cut_status, cut_answer, _ = _answered(in_chunks(data))
    require((status, answer) == (cut_status, cut_answer) or len(data) > MOST_OCTETS, f"{status} and {cut_status}")
    page, paged, _ = _answered([data], WITH_PAGES)
    require(
        page in {200, 304, 404, 405, 406, status} or paged.startswith(f"HTTP/1.1 {page} ".encode()), f"the page {page}"
    )
    require(status != 101 or page == 101, "pages take away a WebSocket")
    require(data.endswith(rest), "octets after the request that did not come")
    if answer:
        _check_response(status, answer)


def _answered(chunks: Iterable[bytes], policy: UpgradePolicy = POLICY) -> tuple[int, bytes, bytes]:
    """Give the status, the answer and the octets after the request; the status is 0 if the request is not complete."""
    upgrade = Upgrade(policy, "192.0.2.1")
    try:
        for chunk in chunks:
            answer = upgrade.add(chunk)
            if answer is not None:
                return int(answer.split(maxsplit=2)[1]), answer, upgrade.rest
    except UpgradeError as refused:
        require(str(refused), "a refusal without a reason")
        return refused.status, refused.answer(), b""
    return 0, b"", b""


def _check_response(status: int, answer: bytes) -> None:
    """An HTTP client reads one response, and no octet after it."""
    client = h11.Connection(h11.CLIENT)
    headers = [("Host", "h"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    client.send(h11.Request(method="GET", target="/", headers=headers))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    response = client.next_event()
    if not isinstance(response, h11.Response | h11.InformationalResponse):
        raise PropertyError(f"not a response: {response}")
    require(response.status_code == status, f"the status {response.status_code}, not {status}")
    if isinstance(response, h11.Response):
        length = int(dict(response.headers)[b"content-length"])
        require(len(answer.partition(b"\r\n\r\n")[2]) == length, "another length of the body")


GOOD: Final = (
    b"GET /sip HTTP/1.1\r\nHost: fe1.example.test:5063\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n"
    b"Origin: https://phone.example.test\r\n\r\n"
)

TARGET: Final = Target(
    name="upgrade",
    holds="raises UpgradeError only; chunks make no difference; each answer is one HTTP response of that status",
    check=check,
    seeds=(
        GOOD,
        PAGE,
        PAGE.replace(b"GET", b"HEAD"),
        PAGE.replace(b"/phone", b"/phone/../x"),
        GOOD + b"\x81\x80\x00\x00\x00\x00",
        GOOD.replace(b"fe1", b"fe2"),
        GOOD.replace(b"https://phone", b"https://evil"),
        GOOD.replace(b"13", b"8"),
        GOOD.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
        GOOD.replace(b"\r\n", b"\n"),
        b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS h\r\n\r\n",
        b"\x16\x03\x01\x00\x05",
    ),
    work=200,
)
