"""Pages that a WebSocket port serves: each refusal beside the request that gets the page."""

from __future__ import annotations

import gzip

import pytest

from sipmesh.transport.websocket.http_request import UpgradeError
from sipmesh.transport.websocket.pages import FOREVER, Page
from sipmesh.transport.websocket.upgrade import Upgrade, UpgradePolicy
from support.web_peer import ORIGIN, upgrade

TEXT = b"<!doctype html>"
PAGES = {
    "/phone": Page("text/html; charset=utf-8", gzip.compress(TEXT), '"1"'),
    "/phone/phone-1.js": Page("text/javascript; charset=utf-8", gzip.compress(b"1"), '"2"', FOREVER),
    "/absent": Page("text/plain; charset=utf-8", gzip.compress(b"not built"), '"3"', status=503),
}
HOSTS = frozenset({"example.test", "fe1.example.test"})
POLICY = UpgradePolicy(HOSTS, frozenset({ORIGIN}), PAGES)
HERE = "192.0.2.1"


def asked(
    target: str = "/phone", *headers: tuple[str, str], method: str = "GET", host: str = "fe1.example.test:8443"
) -> bytes:
    """What a browser sends for a page."""
    fields = [("Host", host), ("Accept-Encoding", "gzip, deflate, br"), *headers]
    rows = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{method} {target} HTTP/1.1\r\n{rows}\r\n".encode()


def answer(request: bytes) -> tuple[int, dict[str, str], bytes]:
    """The status, header fields and body that a request gets."""
    reader = Upgrade(POLICY, HERE)
    found = reader.add(request)
    assert found is not None
    assert not reader.opens
    return read(found)


def read(octets: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = octets.partition(b"\r\n\r\n")
    status, *rows = head.decode().split("\r\n")
    return int(status.split()[1]), dict(row.split(": ", 1) for row in rows), body


def refusal(request: bytes) -> tuple[int, dict[str, str], bytes]:
    with pytest.raises(UpgradeError) as refused:
        Upgrade(POLICY, HERE).add(request)
    return read(refused.value.answer())


@pytest.mark.parametrize("target", ["/phone", "/phone?from=a-bookmark"])
def test_page_is_served_to_a_browser(target: str) -> None:
    status, headers, body = answer(asked(target))
    assert (status, gzip.decompress(body)) == (200, TEXT)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Connection"] == "close"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_script_runs_but_ours() -> None:
    policy = answer(asked())[1]["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not any("unsafe" in part or "*" in part for part in policy)


def test_head_gets_the_same_header_without_a_body() -> None:
    with_body, without = answer(asked()), answer(asked(method="HEAD"))
    assert without == (*with_body[:2], b"")


@pytest.mark.parametrize(("target", "cache"), [("/phone", "no-cache"), ("/phone/phone-1.js", FOREVER)])
def test_file_whose_name_changes_is_kept_for_ever_and_no_other(target: str, cache: str) -> None:
    assert answer(asked(target))[1]["Cache-Control"] == cache


@pytest.mark.parametrize(
    ("known", "status"), [('"1"', 304), ('W/"1"', 304), ('"0", "1"', 304), ("*", 304), ('"0"', 200)]
)
def test_page_that_the_browser_has_is_not_sent_again(known: str, status: int) -> None:
    found, headers, body = answer(asked("/phone", ("If-None-Match", known)))
    assert found == status
    assert headers["ETag"] == '"1"'
    assert bool(body) is (status == 200)


def test_phone_that_was_not_built_says_so() -> None:
    status, _, body = answer(asked("/absent", ("If-None-Match", '"3"')))
    assert (status, gzip.decompress(body)) == (503, b"not built")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_page_is_only_read(method: str) -> None:
    status, headers, _ = refusal(asked(method=method))
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/phone/",
        "/phone/../phone",
        "/phone/..%2f..%2fetc/passwd",
        "/phone/../../../../etc/passwd",
        "/%70hone",
        "//phone",
        "/phone\\..\\x",
        "/phone/phone-2.js",
        "http://evil.test/phone",
        "*",
    ],
)
def test_only_the_exact_path_of_a_page_is_found(target: str) -> None:
    """No path is decoded or resolved: it is a key of a table."""
    status, headers, body = refusal(asked(target))
    assert status == 404
    assert headers["Content-Type"] == "text/plain; charset=us-ascii"
    assert b"passwd" not in body


@pytest.mark.parametrize("host", ["evil.test", "192.0.2.2:8443", "fe1.example.test.evil.test"])
def test_page_is_not_served_under_another_host(host: str) -> None:
    """A rebound DNS name would make our page one of its own origin."""
    assert refusal(asked(host=host))[0] == 421
    assert answer(asked(host=f"{HERE}:8443"))[0] == 200


@pytest.mark.parametrize("field", [("Content-Length", "1"), ("Transfer-Encoding", "chunked")])
def test_request_has_no_body(field: tuple[str, str]) -> None:
    assert refusal(asked("/phone", field))[0] == 400


@pytest.mark.parametrize(
    ("accepted", "status"),
    [("gzip", 200), ("GZIP;q=0.5", 200), ("*", 200), ("br, *;q=0.1", 200), ("br", 406), ("gzip;q=0", 406), ("", 406)],
)
def test_client_that_does_not_accept_gzip_is_noted(accepted: str, status: int) -> None:
    request = asked().replace(b"gzip, deflate, br", accepted.encode())
    found = answer(request)[0] if status == 200 else refusal(request)[0]
    assert found == status


def test_client_that_names_no_coding_gets_the_page() -> None:
    assert answer(asked().replace(b"Accept-Encoding: gzip, deflate, br\r\n", b""))[0] == 200


def test_refusal_of_a_head_has_no_body() -> None:
    assert refusal(asked("/other", method="HEAD"))[2] == b""
    assert refusal(asked("/other"))[2].startswith(
        b"This port is for SIP over WebSocket and for the web phone at /phone"
    )


def test_upgrade_is_no_request_for_a_page() -> None:
    request = upgrade().replace(b"GET / ", b"GET /phone ")
    reader = Upgrade(POLICY, HERE)
    assert (reader.add(request) or b"").startswith(b"HTTP/1.1 101 ")
    assert reader.opens


@pytest.mark.parametrize(
    ("origin", "may_connect"),
    [
        (ORIGIN, True),
        ("https://fe1.example.test:8443", True),
        ("https://fe1.example.test", False),  # another port is another site
        ("http://fe1.example.test:8443", False),
        ("https://example.test:8443", False),
        ("https://evil.test", False),
    ],
)
def test_web_phone_may_connect_to_the_host_that_has_served_it(origin: str, *, may_connect: bool) -> None:
    request = upgrade(host="fe1.example.test:8443", origin=origin)
    if may_connect:
        assert (Upgrade(POLICY, HERE).add(request) or b"").startswith(b"HTTP/1.1 101 ")
    else:
        assert refusal(request)[0] == 403


def test_without_pages_the_port_has_no_further_origin_and_no_page() -> None:
    closed = UpgradePolicy(HOSTS, frozenset({ORIGIN}))
    for request, status in (
        (upgrade(host="fe1.example.test:8443", origin="https://fe1.example.test:8443"), 403),
        (asked(), 426),
        (asked(method="HEAD"), 405),
    ):
        with pytest.raises(UpgradeError) as refused:
            Upgrade(closed, HERE).add(request)
        assert refused.value.status == status


def test_script_may_ask_the_pages_of_invitations_only_where_the_topology_names_them() -> None:
    asks = Page("text/html", gzip.compress(b""), '"1"', connects=("https://join.example.test:8445",))
    policies = {dict(page.headers)["Content-Security-Policy"] for page in (asks, Page("text/html", b"", '"2"'))}
    assert {part for policy in policies for part in policy.split("; ") if part.startswith("connect-src")} == {
        "connect-src 'self' https://join.example.test:8445",
        "connect-src 'self'",
    }
