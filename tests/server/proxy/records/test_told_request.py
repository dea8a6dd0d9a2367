"""What a record says of requests and responses that their senders have written."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.records.told_request import called, claimed, forwarded, passed, reference_in, told
from sipmesh.sip.message import Request, build_request, respond

FIXED = (
    ("via", "SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1"),
    ("from", "<sip:alice@example.test>;tag=a"),
    ("to", "<sip:bob@example.test>"),
    ("call-id", "c1"),
    ("cseq", "1 INVITE"),
)


def invite(uri: str = "sip:bob@example.test", *more: tuple[str, str]) -> Request:
    return build_request("INVITE", uri, [*FIXED, *more])


@pytest.mark.parametrize(("given", "kept"), [("a" * 256, 256), ("a" * 257, 256), ("a\x1b[0mb", 0)])
def test_texts_are_cut_and_printable(given: str, kept: int) -> None:
    text = told(given)
    assert len(text) == kept or not kept
    assert text.isprintable()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sip:bob@example.test;transport=tls", "bob@example.test"),
        ("sips:Bob@EXAMPLE.test:5061", "Bob@example.test"),
        ("sip:x@anonymous.invalid", "bob@example.test"),
        ("http://example.test", "http://example.test"),
    ],
)
def test_called_is_an_address_without_its_parameters(uri: str, name: str) -> None:
    assert called(invite(uri)) == name
    assert claimed(invite(uri)) == "alice@example.test"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("diversion", '"Sales" <sip:sales@example.test>;privacy=off;reason=user-busy', "sales@example.test: user-busy"),
        ("diversion", "<sip:sales@example.test>", "sales@example.test: unknown"),
        ("diversion", "rubbish", "anonymous: unknown"),
        ("history-info", "<sip:a@example.test>;index=1", ""),
        (
            "history-info",
            "<sip:a@example.test?Reason=SIP%3Bcause%3D302>;index=1, <sip:b@example.test;cause=302>;index=1.1",
            "a@example.test: unconditional",
        ),
        ("history-info", "<sip:a@example.test>;index=1, <sip:b@example.test>;index=1.1", "a@example.test: unknown"),
        ("subject", "Hello", ""),
    ],
)
def test_forwarding_is_named_with_its_reason(field: str, value: str, said: str) -> None:
    assert forwarded(invite("sip:bob@example.test", (field, value))) == said


def test_way_is_that_of_the_record_route_from_the_caller_on() -> None:
    routes = ", ".join(f"<sip:t@{name}:5061;lr>" for name in ("fe2.test", "fe2.test", "edge.test", "fe1.test"))
    response = respond(invite(), 200, headers=(("Record-Route", routes),))
    assert passed(response, "fe1.test", "fe2.test") == ["fe1.test", "edge.test", "fe2.test"]
    assert passed(respond(invite(), 486), "fe1.test", "edge.test") == ["fe1.test", "edge.test"]
    assert passed(respond(invite(), 486), "fe1.test", "") == ["fe1.test"]


@pytest.mark.parametrize("hops", [16, 17])
def test_way_is_bounded(hops: int) -> None:
    routes = ", ".join(f"<sip:t@s{number}.test;lr>" for number in range(hops - 1))
    response = respond(invite(), 200, headers=(("Record-Route", routes),))
    assert len(passed(response, "fe1.test", "")) == 16


@pytest.mark.parametrize(
    ("warning", "found"),
    [
        ('399 fe1.test "refused: media, reference c7-12"', ("c7-12", "fe1.test")),
        ('399 FE1.Test "refused, as he said", 399 fe2.test "refused: media, reference c7-12"', ("c7-12", "fe2.test")),
        ("399 fe1.test reference c7-12", ("c7-12", "")),
        ("399 " + "a" * 254 + ' "reference c7-12"', ("c7-12", "")),
        ('399 [::1]:5061 "reference c7-12"', ("c7-12", "")),
        ('302 fe1.test "no SRTP"', ("", "")),
        ('399 x "reference ' + "a" * 300 + '"', ("a" * 256, "x")),
    ],
)
def test_reference_and_its_server_are_found_in_any_warning(warning: str, found: tuple[str, str]) -> None:
    response = respond(invite(), 488, headers=(("Warning", '305 x "y"'), ("Warning", warning)))
    assert reference_in(response) == found
