from __future__ import annotations

import pytest

from routing.messages import request
from sipmesh.routing.proxy.received import mark_received, via_as_sent


@pytest.mark.parametrize(
    ("via", "marked"),
    [
        ("10.0.0.1:5061;branch=z9hG4bKx", "10.0.0.1:5061;branch=z9hG4bKx;received=192.0.2.9"),
        ("10.0.0.1:5061;rport;branch=z9hG4bKx", "10.0.0.1:5061;branch=z9hG4bKx;received=192.0.2.9;rport=4711"),
        ("192.0.2.9:5061;branch=z9hG4bKx", "192.0.2.9:5061;branch=z9hG4bKx"),
        ("192.0.2.9;rport;branch=z9hG4bKx", "192.0.2.9;branch=z9hG4bKx;received=192.0.2.9;rport=4711"),
        ("192.0.2.9;branch=z9hG4bKx;received=8.8.8.8", "192.0.2.9;branch=z9hG4bKx;received=192.0.2.9"),
        ("192.0.2.9 ;branch=z9hG4bKx;received=8.8.8.8", "192.0.2.9;branch=z9hG4bKx;received=192.0.2.9"),
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


def test_requests_of_one_link_share_the_mark() -> None:
    """The mark is computed again only if the client writes its Via in another way."""
    first, second, third = request(), request(), request()
    first.replace("via", "SIP/2.0/TLS a.test;rport;branch=z9hG4bKx")
    second.replace("via", "SIP/2.0/TLS a.test;rport;branch=z9hG4bKy")
    third.replace("via", "SIP/2.0/TLS a.test:5099;rport;branch=z9hG4bKz")
    mark = mark_received(first, "192.0.2.9", 4711)
    assert mark_received(second, "192.0.2.9", 4711, mark) is mark
    assert mark_received(third, "192.0.2.9", 4711, mark) is not mark
    assert second.values("via") == ["SIP/2.0/TLS a.test;branch=z9hG4bKy;received=192.0.2.9;rport=4711"]
    assert third.values("via") == ["SIP/2.0/TLS a.test:5099;branch=z9hG4bKz;received=192.0.2.9;rport=4711"]


def test_a_via_that_needs_no_mark_leaves_the_last_one() -> None:
    asked, plain = request(), request()
    asked.replace("via", "SIP/2.0/TLS a.test;rport;branch=z9hG4bKx")
    plain.replace("via", "SIP/2.0/TLS 192.0.2.9;branch=z9hG4bKy")
    mark = mark_received(asked, "192.0.2.9", 4711)
    assert mark_received(plain, "192.0.2.9", 4711, mark) is mark


def test_source_port_is_reported_over_ipv6_too() -> None:
    asked = request()
    asked.replace("via", "SIP/2.0/TLS [2001:db8::7]:5061;branch=z9hG4bKx;rport")
    mark_received(asked, "2001:db8::1", 4711)
    assert asked.top_via.param("received") == "2001:db8::1"
    assert asked.top_via.param("rport") == "4711"


def test_via_that_fits_no_form_is_marked_by_itself() -> None:
    """Parameters around the branch that differ for each request cannot be shared."""
    asked = request()
    asked.replace("via", "SIP / 2.0 / TLS 10.0.0.1:5061 ; branch=z9hG4bKx ; rport")
    assert asked.top_via.form is None
    assert mark_received(asked, "192.0.2.9", 4711) is None
    assert (asked.top_via.param("received"), asked.top_via.param("rport")) == ("192.0.2.9", "4711")


@pytest.mark.parametrize(
    "via", ["a.test;rport;branch=z9hG4bKx", "a.test;branch=z9hG4bKx;rport", "192.0.2.9;branch=z9hG4bKx"]
)
def test_via_goes_back_as_the_client_has_sent_it(via: str) -> None:
    asked = request()
    asked.replace("via", f"SIP/2.0/TLS {via}")
    mark = mark_received(asked, "192.0.2.9", 4711)
    assert via_as_sent(asked, mark) == f"SIP/2.0/TLS {via}"


def test_via_that_has_another_mark_is_given_as_it_is() -> None:
    """The mark of an earlier request of the link, whose Via was written in another way."""
    first, second = request(), request()
    first.replace("via", "SIP/2.0/TLS a.test;rport;branch=z9hG4bKx")
    second.replace("via", "SIP/2.0/TLS 192.0.2.9;branch=z9hG4bKy")
    mark = mark_received(first, "192.0.2.9", 4711)
    assert (
        via_as_sent(second, mark_received(second, "192.0.2.9", 4711, mark)) == "SIP/2.0/TLS 192.0.2.9;branch=z9hG4bKy"
    )
