"""The 12 IPv6 torture messages of RFC 5118, each with the verdict that we give on a stream."""

from __future__ import annotations

import json

import pytest

from conformance.suites import suite
from conformance.torture import Row, Suite, passed_on, verdict
from sipmesh.sip.fields import Via

ROWS = (
    Row("ipv6-good", "4.1", "ok"),
    Row("ipv6-bad", "4.2", "400"),
    Row("port-ambiguous", "4.3", "ok"),
    Row("port-unambiguous", "4.4", "ok"),
    Row("via-received-param-with-delim", "4.5", "ok"),
    Row("via-received-param-no-delim", "4.5", "ok"),
    Row("ipv6-in-sdp", "4.6", "ok"),
    Row("mult-ip-in-header", "4.7", "ok"),
    Row("mult-ip-in-sdp", "4.8", "ok"),
    Row("ipv4-mapped-ipv6", "4.9", "ok"),
    Row("ipv6-bug-abnf-3-colons", "4.10", "400", "the grammar of RFC 3261 lets it pass by mistake; it is no address"),
    Row("ipv6-correct-abnf-2-colons", "4.10", "ok"),
)

# Each has the property that the RFC's section describes, in words and names of our own.
OWN = {
    "via-received-param-no-delim": """BYE sip:[2001:db8::20] SIP/2.0
To: sip:bob@example.test;tag=2
From: sip:alice@example.test;tag=1
Via: SIP/2.0/TLS [2001:db8::21];received=2001:db8::22;branch=z9hG4bKown1
Call-ID: own-no-delim
Max-Forwards: 70
CSeq: 1 BYE
Content-Length: 0

""",
    "ipv6-in-sdp": """INVITE sip:bob@[2001:db8::20] SIP/2.0
To: sip:bob@[2001:db8::20]
From: sip:alice@example.test;tag=1
Via: SIP/2.0/TLS [2001:db8::21];branch=z9hG4bKown2
Call-ID: own-in-sdp
Contact: <sip:alice@[2001:db8::21]>
Max-Forwards: 70
CSeq: 1 INVITE
Content-Type: application/sdp
Content-Length: 93

v=0
o=a 1 1 IN IP6 2001:db8::21
s=-
c=IN IP6 2001:db8::21
t=0 0
m=audio 5000 RTP/AVP 0
""",
    "ipv4-mapped-ipv6": """INVITE sip:bob@example.test SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Via: SIP/2.0/TLS [::ffff:192.0.2.10]:19823;branch=z9hG4bKown3
Call-ID: own-mapped
Contact: <sip:alice@[::ffff:192.0.2.10]:5061>
Max-Forwards: 70
CSeq: 1 INVITE
Content-Length: 0

""",
    "ipv6-correct-abnf-2-colons": """OPTIONS sip:bob@[2001:db8::192.0.2.1] SIP/2.0
To: sip:bob@[2001:db8::192.0.2.1]
From: sip:alice@example.test;tag=1
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown4
Call-ID: own-two-colons
Max-Forwards: 70
CSeq: 1 OPTIONS
Content-Length: 0

""",
}

RFC5118 = Suite("rfc5118", ROWS, OWN)


def test_the_table_has_every_message_of_the_rfc() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) == 12


@pytest.mark.parametrize("row", ROWS, ids=lambda row: RFC5118.label(row.name))
def test_the_verdict_on_each_message(row: Row) -> None:
    assert verdict(RFC5118.octets(row.name)) == row.verdict


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.verdict == "ok"], ids=RFC5118.label)
def test_what_passes_is_passed_on_and_read_alike(name: str) -> None:
    """An independent reader finds in what we pass on what it finds in the RFC's message."""
    before, after = passed_on(RFC5118.octets(name))
    assert after == before


AGREES = {"valid": {"ok"}, "invalid": {"400"}, "invalid-may-accept": {"ok", "400"}}


def test_our_table_agrees_with_the_one_beside_the_messages() -> None:
    ours = {f"{row.name}.dat": row.verdict for row in ROWS}
    theirs = json.loads((suite("rfc5118") / "expected.json").read_text("utf-8"))
    assert [case["file"] for case in theirs if ours[case["file"]] not in AGREES[case["verdict"]]] == []


def test_a_port_inside_the_brackets_is_part_of_the_address() -> None:
    ambiguous, clear = RFC5118.request("port-ambiguous").ruri, RFC5118.request("port-unambiguous").ruri
    assert (ambiguous.host, ambiguous.port) == ("2001:db8::10:5070", None)
    assert (clear.host, clear.port) == ("2001:db8::10", 5070)


def test_received_is_read_with_and_without_brackets() -> None:
    bracketed = RFC5118.request("via-received-param-with-delim").top_via
    bare = RFC5118.request("via-received-param-no-delim").top_via
    assert bracketed.param("received") == "[2001:db8::9:255]"
    assert (bare.param("received") or "").startswith("2001:db8::")


def test_addresses_of_both_families_are_side_by_side() -> None:
    hosts = [Via.parse(item).host for item in RFC5118.request("mult-ip-in-header").items("via")]
    assert {":" in host for host in hosts} == {True, False}


def test_an_ipv4_address_inside_an_ipv6_address_is_read() -> None:
    assert ":" in RFC5118.request("ipv4-mapped-ipv6").top_via.host
    assert ":" in RFC5118.request("ipv6-correct-abnf-2-colons").ruri.host
