from __future__ import annotations

import pytest

from routing.messages import request
from sipmesh.routing.received import mark_received


@pytest.mark.parametrize(
    ("via", "marked"),
    [
        ("10.0.0.1:5061;branch=z9hG4bKx", "10.0.0.1:5061;branch=z9hG4bKx;received=192.0.2.9"),
        ("10.0.0.1:5061;rport;branch=z9hG4bKx", "10.0.0.1:5061;branch=z9hG4bKx;received=192.0.2.9;rport=4711"),
        ("192.0.2.9:5061;branch=z9hG4bKx", "192.0.2.9:5061;branch=z9hG4bKx"),
        ("192.0.2.9;rport;branch=z9hG4bKx", "192.0.2.9;branch=z9hG4bKx;received=192.0.2.9;rport=4711"),
        ("phone.invalid;branch=z9hG4bKx;received=8.8.8.8", "phone.invalid;branch=z9hG4bKx;received=192.0.2.9"),
    ],
)
def test_top_via_says_where_the_request_came_from(via: str, marked: str) -> None:
    asked = request()
    asked.replace("via", f"SIP/2.0/TLS {via}")
    mark_received(asked, "192.0.2.9", 4711)
    assert asked.values("via") == [f"SIP/2.0/TLS {marked}"]


def test_ipv6_is_compared_without_its_brackets() -> None:
    asked = request()
    asked.replace("via", "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKx")
    before = asked.encode()
    mark_received(asked, "2001:db8::1", 4711)
    assert asked.encode() == before


def test_only_the_top_via_is_touched() -> None:
    asked = request()
    asked.replace("via", "SIP/2.0/TLS a.test;branch=z9hG4bKx, SIP/2.0/TLS b.test;branch=z9hG4bKy")
    mark_received(asked, "192.0.2.9", 4711)
    assert asked.items("via")[1] == "SIP/2.0/TLS b.test;branch=z9hG4bKy"
