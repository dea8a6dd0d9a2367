"""The 49 torture messages of RFC 4475, each with the verdict that we give on a stream, and why where the RFC leaves room."""

from __future__ import annotations

import json

import pytest

from conformance.suites import suite
from conformance.torture import Row, Suite, judged, passed_on, verdict
from sipmesh.errors import RemoteError
from sipmesh.sip.check import unsupported
from sipmesh.sip.digest import is_digest
from sipmesh.sip.fields import NameAddr, Via
from sipmesh.sip.framing import MessageReader
from sipmesh.sip.message import Request, Response

ROWS = (
    Row("wsinv", "3.1.1.1", "ok"),
    Row("intmeth", "3.1.1.2", "ok"),
    Row("esc01", "3.1.1.3", "ok"),
    Row("escnull", "3.1.1.4", "ok"),
    Row("esc02", "3.1.1.5", "ok"),
    Row("lwsdisp", "3.1.1.6", "ok"),
    Row("longreq", "3.1.1.7", "ok"),
    Row("dblreq", "3.1.1.8", "ok, ok, close", "a stream has two requests here, and the second is longer than it says"),
    Row("semiuri", "3.1.1.9", "ok"),
    Row("transports", "3.1.1.10", "ok"),
    Row("mpart01", "3.1.1.11", "ok"),
    Row("unreason", "3.1.1.12", "ok"),
    Row("noreason", "3.1.1.13", "ok"),
    Row("badinv01", "3.1.2.1", "400"),
    Row("clerr", "3.1.2.2", "waits", "on a stream the octets may still come; the link closes when they do not"),
    Row("ncl", "3.1.2.3", "400 close", "nobody knows where the next message begins"),
    Row("scalar02", "3.1.2.4", "400"),
    Row("scalarlg", "3.1.2.5", "drop"),
    Row("quotbal", "3.1.2.6", "400"),
    Row("ltgtruri", "3.1.2.7", "400"),
    Row("lwsruri", "3.1.2.8", "400"),
    Row("lwsstart", "3.1.2.9", "400"),
    Row("trws", "3.1.2.10", "400", "may be accepted; two readers of one start line must not differ, so we do not"),
    Row("escruri", "3.1.2.11", "400", "may be accepted without the headers; what it asks for is not what it would get"),
    Row("baddate", "3.1.2.12", "ok", "may be refused; nothing here reads Date, and it is carried as it came"),
    Row("regbadct", "3.1.2.13", "400"),
    Row("badaspec", "3.1.2.14", "400", "may be mended; a proxy must not forward it, and we rewrite no From or To"),
    Row("baddn", "3.1.2.15", "400", "may be mended; a proxy must not forward it, and we rewrite no From or To"),
    Row("badvers", "3.1.2.16", "505"),
    Row("mismatch01", "3.1.2.17", "400"),
    Row("mismatch02", "3.1.2.18", "400", "501 may be said too; a proxy knows no list of methods"),
    Row("bigcode", "3.1.2.19", "drop"),
    Row(
        "badbranch",
        "3.2.1",
        "400",
        "RFC 2543 matching may be tried; a branch of the cookie alone is no RFC 2543 either",
    ),
    Row("insuf", "3.3.1", "400"),
    Row("unkscm", "3.3.2", "416"),
    Row("novelsc", "3.3.3", "416"),
    Row("unksm2", "3.3.4", "ok", "carried; a registrar refuses it"),
    Row("bext01", "3.3.5", "ok", "the 420 is the proxy's: see the test of its extensions"),
    Row("invut", "3.3.6", "ok"),
    Row("regaut01", "3.3.7", "ok", "as if it had no credentials"),
    Row("multi01", "3.3.8", "400"),
    Row("mcl01", "3.3.9", "400 close", "nobody knows where the next message begins"),
    Row("bcast", "3.3.10", "ok", "dropped where its top Via is looked at: it is not ours"),
    Row("zeromf", "3.3.11", "ok", "the 483 is the proxy's"),
    Row("cparam01", "3.3.12", "ok"),
    Row("cparam02", "3.3.13", "ok"),
    Row("regescrt", "3.3.14", "ok"),
    Row("sdp01", "3.3.15", "ok"),
    Row("inv2543", "3.4.1", "400 close", "no Content-Length: RFC 2543 had no TLS streams, and this one cannot be cut"),
)

# Each has the property that the RFC's section describes, in words and names of our own.
OWN = {
    "escnull": """REGISTER sip:example.test SIP/2.0
To: sip:zero-%00-zero@example.test
From: sip:zero-%00-zero@example.test;tag=1
Max-Forwards: 70
Call-ID: own-escnull
CSeq: 1 REGISTER
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown1
Contact: <sip:%00@own.example>
Contact: <sip:%00%00@own.example>
L:0

""",
    "esc02": """OP%54%49ONS sip:example.test SIP/2.0
To: "%not %escaped" <sip:desk@example.test>
From: <sip:desk@example.test>;tag=%66%31
Max-Forwards: 70
Call-ID: own%2Desc02
CSeq: 1 OP%54%49ONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bK%41
C%6Fntact: <sip:not-a-contact@own.example>
Contact: <sip:desk@own.example>
l: 0

""",
    "lwsdisp": """OPTIONS sip:bob@example.test SIP/2.0
To: sip:bob@example.test
From: Alice<sip:alice@example.test>;tag=1
Max-Forwards: 70
Call-ID: own-lwsdisp
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown2
l: 0

""",
    "semiuri": """OPTIONS sip:bob;room=7%3b@example.test SIP/2.0
To: <sip:alice;desk=u%40example.test@example.test>
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-semiuri
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown3
l: 0

""",
    "noreason": """SIP/2.0 100\x20
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown4
Call-ID: own-noreason
CSeq: 1 INVITE
From: sip:alice@example.test;tag=1
To: sip:bob@example.test
l: 0

""",
    "ncl": """OPTIONS sip:bob@example.test SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-ncl
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown5
Content-Length: -7

octets
""",
    "scalarlg": """SIP/2.0 503 Service Unavailable
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown6
To: sip:bob@example.test;tag=2
From: sip:alice@example.test;tag=1
Call-ID: own-scalarlg
CSeq: 18446744073709551617 OPTIONS
Retry-After: 18446744073709551617
Warning: 99999 own.example "large"
l: 0

""",
    "quotbal": """OPTIONS sip:bob@example.test SIP/2.0
To: "Bob is open <sip:bob@example.test>
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-quotbal
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown7
l: 0

""",
    "lwsruri": """OPTIONS sip:bob@example.test; lr SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-lwsruri
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown8
l: 0

""",
    "lwsstart": """OPTIONS  sip:bob@example.test  SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-lwsstart
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown9
l: 0

""",
    "escruri": """OPTIONS sip:bob@example.test?Route=%3Csip:elsewhere.example%3E SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-escruri
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown10
l: 0

""",
    "regbadct": """REGISTER sip:example.test SIP/2.0
To: sip:alice@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-regbadct
CSeq: 1 REGISTER
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown11
Contact: sip:alice@own.example?Route=%3Csip:elsewhere.example%3E
l: 0

""",
    "mismatch02": """OWNMETHOD sip:bob@example.test SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-mismatch02
CSeq: 1 INVITE
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown12
l: 0

""",
    "insuf": """INVITE sip:bob@example.test SIP/2.0
CSeq: 1 INVITE
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown13
l: 0

""",
    "unkscm": """OPTIONS ownscheme:whatever-it-means SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-unkscm
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown14
l: 0

""",
    "novelsc": """OPTIONS coap+tcp://192.0.2.7:5683 SIP/2.0
To: sip:bob@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-novelsc
CSeq: 1 OPTIONS
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown15
l: 0

""",
    "cparam01": """REGISTER sip:example.test SIP/2.0
To: sip:alice@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-cparam01
CSeq: 1 REGISTER
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown16
Contact: sip:+15550100@own.example;novel
l: 0

""",
    "cparam02": """REGISTER sip:example.test SIP/2.0
To: sip:alice@example.test
From: sip:alice@example.test;tag=1
Max-Forwards: 70
Call-ID: own-cparam02
CSeq: 1 REGISTER
Via: SIP/2.0/TLS own.example;branch=z9hG4bKown17
Contact: <sip:+15550100@own.example;novel>
l: 0

""",
}

RFC4475 = Suite("rfc4475", ROWS, OWN)


def test_the_table_has_every_message_of_the_rfc() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) == 49
    counted = {
        chapter: sum(row.section.startswith(chapter) for row in ROWS)
        for chapter in ("3.1.1", "3.1.2", "3.2", "3.3", "3.4")
    }
    assert counted == {"3.1.1": 13, "3.1.2": 19, "3.2": 1, "3.3": 15, "3.4": 1}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: RFC4475.label(row.name))
def test_the_verdict_on_each_message(row: Row) -> None:
    assert verdict(RFC4475.octets(row.name)) == row.verdict


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.verdict.startswith("ok")], ids=RFC4475.label)
def test_what_passes_is_passed_on_and_read_alike(name: str) -> None:
    """An independent reader finds in what we pass on what it finds in the RFC's message."""
    before, after = passed_on(RFC4475.octets(name))
    assert after == before


# What the suite's own table says, and which of our verdicts agree with it.
AGREES = {
    "valid": {"ok", "ok, ok, close"},
    "semantic": {"ok", "400", "416"},
    "invalid": {"400", "400 close", "505", "drop", "waits"},
    "invalid-semantic": {"400", "400 close"},
    "invalid-may-accept": {"ok", "400"},
    "legacy": {"ok", "400 close"},
}


def test_our_table_agrees_with_the_one_beside_the_messages() -> None:
    ours = {f"{row.name}.dat": row.verdict for row in ROWS}
    theirs = json.loads((suite("rfc4475") / "expected.json").read_text("utf-8"))
    assert [case["file"] for case in theirs if ours[case["file"]] not in AGREES[case["verdict"]]] == []


def test_a_short_datagram_is_refused_where_a_stream_waits() -> None:
    with pytest.raises(RemoteError) as wrong:
        RFC4475.message("clerr")
    assert wrong.value.status == 400


def test_a_request_of_rfc_2543_is_refused_in_a_frame_too() -> None:
    """Without a length it can be read from a frame; it has no From tag then, and RFC 3261 8.1.1.3 wants one."""
    assert judged(RFC4475.message("inv2543")) == "400"


def test_folded_and_compact_fields_are_read_alike() -> None:
    tortuous = RFC4475.request("wsinv")
    assert (tortuous.max_forwards, str(tortuous.cseq), tortuous.from_.tag) == (68, "9 INVITE", "98asjd8")
    assert tortuous.from_.display == 'J Rosenberg \\"'
    assert [Via.parse(item).host for item in tortuous.items("via")] == [
        "192.0.2.2",
        "spindle.example.com",
        "192.168.255.111",
    ]
    assert tortuous.contacts[0].param("newparam") == "newvalue"
    assert tortuous.first("newfangledheader") == "newfangled value continued newfangled value"


def test_odd_but_legal_characters_are_read() -> None:
    odd = RFC4475.request("intmeth")
    assert odd.to.display == "BEL:? NUL:? DEL:?"  # legal where they are escaped, and not passed on
    assert odd.ruri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert odd.from_.tag == "_token~1'+`*%!-."


def test_escapes_in_a_user_are_no_uri_of_their_own() -> None:
    escaped = RFC4475.request("esc01")
    assert (escaped.ruri.scheme, escaped.ruri.domain) == ("sip", "example.net")
    assert escaped.to.sip_uri.aor == "sip:user@example.com"
    assert escaped.contacts[0].sip_uri.has("lr")


def test_two_contacts_of_nulls_are_two() -> None:
    one, other = RFC4475.request("escnull").contacts
    assert not one.sip_uri.equivalent(other.sip_uri)


def test_a_semicolon_before_the_at_belongs_to_the_user() -> None:
    found = RFC4475.request("semiuri")
    assert ";" in (found.ruri.user or "")
    assert found.ruri.params == ()


def test_a_percent_sign_outside_a_uri_is_only_that() -> None:
    found = RFC4475.request("esc02")
    assert found.method == found.cseq.method
    assert "%" in found.method
    assert found.count("contact") == len(found.contacts)


def test_octets_behind_a_datagrams_length_are_dropped() -> None:
    first = RFC4475.request("dblreq")
    assert (first.method, first.body) == ("REGISTER", b"")
    stream = list(MessageReader().feed(RFC4475.octets("dblreq").removesuffix(b"C\r\n\r\n")))
    assert [found.method for found in stream if isinstance(found, Request)] == ["REGISTER", "INVITE"]


def test_a_binary_body_is_kept() -> None:
    body = RFC4475.request("mpart01").body
    assert b"\x00" in body
    assert body.rstrip().endswith(b"--")


def test_reason_phrases_are_read_as_utf_8_or_empty() -> None:
    unusual, missing = RFC4475.message("unreason"), RFC4475.message("noreason")
    assert isinstance(unusual, Response)
    assert isinstance(missing, Response)
    assert unusual.reason.startswith("= 2**3 * 5**2 \u043d\u043e")
    assert missing.reason == ""


def test_extensions_are_found_for_a_420() -> None:
    asked = RFC4475.request("bext01")
    assert unsupported(asked, "proxy-require", ()) == ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]
    assert len(unsupported(asked, "require", ())) == 2


def test_an_unknown_scheme_of_credentials_is_seen() -> None:
    assert not is_digest(RFC4475.request("regaut01").first("authorization") or "")


def test_no_hops_are_left() -> None:
    assert RFC4475.request("zeromf").max_forwards == 0


def test_a_parameter_behind_a_bare_contact_is_the_fields_own_and_in_brackets_the_uris() -> None:
    (outside,), (inside,) = RFC4475.request("cparam01").contacts, RFC4475.request("cparam02").contacts
    assert (len(outside.params), len(outside.sip_uri.params)) == (1, 0)
    assert (len(inside.params), len(inside.sip_uri.params)) == (0, 1)


def test_a_header_in_a_contacts_uri_stays_there() -> None:
    (contact,) = RFC4475.request("regescrt").contacts
    assert [name for name, _ in contact.sip_uri.headers] == ["Route"]


def test_an_address_of_another_scheme_is_carried_and_not_a_sip_uri() -> None:
    found: NameAddr = RFC4475.request("unksm2").to
    with pytest.raises(RemoteError) as wrong:
        _ = found.sip_uri
    assert wrong.value.status == 416
