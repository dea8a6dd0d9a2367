"""What the worst messages cost: work that grows with their octets and no faster, under a bound for each octet.

It is counted in calls, lines and octets walked over, not timed. Compiled code makes its calls uncounted; it is the same source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from routing.messages import TOKENS, response, route
from sipmesh.cli.versions import built
from sipmesh.sip import fields, message, rows, uri
from sipmesh.sip.framing import MessageReader
from support.counting import work_counted
from support.serving import serve
from support.tiers import wide_after, wide_unless

pytestmark = pytest.mark.skipif(built() == "compiled", reason="calls of compiled code are not seen, by design")

OURS = route(TOKENS.flow(41, "sip:alice@example.test")).encode()
STEPS_OF_AN_OCTET, OCTETS_OF_AN_OCTET = 20, 40
"""The bounds for one octet of a message of 64 KB, above what the worst needed at the time of writing: 15 and 26."""

FIXED = (
    b"Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.test>;tag=1\r\n"
    b"To: <sip:bob@example.test>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n"
)
END = b"Content-Length: 0\r\n\r\n"
START = b"MESSAGE sip:bob@example.test SIP/2.0\r\n"


def filled(piece: bytes, size: int, between: bytes = b"") -> bytes:
    """Repeat *piece* for about *size* octets."""
    return between.join([piece] * (size // len(piece + between)))


def numbered(form: bytes, size: int) -> bytes:
    """Repeat a *form* with a number in it, another each time, for about *size* octets."""
    return b"".join([form % number for number in range(size // len(form % 10_000))])


def instead(row: bytes) -> bytes:
    """Put a row in place of the usual one of its name."""
    name = row.partition(b":")[0]
    kept = [line for line in FIXED.split(b"\r\n") if line and not line.startswith(name + b":")]
    return START + b"\r\n".join([row, *kept, b""]) + END


def beside(row: bytes) -> bytes:
    return START + FIXED + row + b"\r\n" + END


WORST: dict[str, Callable[[int], bytes]] = {
    "Route, one row": lambda size: beside(b"Route: " + filled(b"<sip:fe1.example.test;lr>", size, b",")),
    "Route, many rows": lambda size: beside(filled(b"Route: <sip:fe1.example.test;lr>", size, b"\r\n")),
    "Route, 256 long entries": lambda size: beside(
        b"Route: " + b",".join([b"<sip:fe1.example.test;lr;x=%s>" % (b"y" * (size // 256 - 40))] * 256)
    ),
    "Route, 256 entries, lists": lambda size: beside(
        b"\r\n".join([b"Route: " + b",".join([b"<sip:fe1.example.test;lr;%s>" % (b"y" * (size // 256 - 40))] * 32)] * 8)
    ),
    "Route, tokens": lambda size: beside(b"Route: " + filled(OURS, size, b",")),
    "Route, one long URI": lambda size: beside(b"Route: <sip:fe1.example.test;lr" + filled(b";x", size) + b">"),
    "Via, one row": lambda size: instead(b"Via: " + filled(b"SIP/2.0/TLS a;branch=z9hG4bK1", size, b",")),
    "Via, 256 entries": lambda size: instead(
        b"Via: " + b",".join([b"SIP/2.0/TLS a;branch=z9hG4bK%s" % (b"1" * (size // 256 - 40))] * 256)
    ),
    "Via, many rows": lambda size: instead(
        b"\r\n".join([b'Via: SIP/2.0/TLS a;branch=z9hG4bK%s;x="y"' % (b"1" * (size // 200 - 40))] * 200)
    ),
    "Via, parameters": lambda size: instead(b"Via: SIP/2.0/TLS a" + numbered(b";p%d=1", size)),
    "Via, blanks": lambda size: instead(b"Via: SIP/2.0/TLS a" + b" " * size + b": 5061;branch=z9hG4bK1"),
    "Via, colons": lambda size: instead(b"Via: SIP/2.0/TLS a" + b" :" * (size // 2)),
    "Contact, one row": lambda size: beside(b"Contact: " + filled(b"<sip:a@b>;q=1", size, b",")),
    "Contact, 256 entries": lambda size: beside(
        b"Contact: " + b",".join([b"<sip:%s@b>" % (b"u" * (size // 256 - 16))] * 256)
    ),
    "Contact, parameters": lambda size: beside(b"Contact: <sip:a@b>" + numbered(b";p%d=1", size)),
    "Contact, URI parameters": lambda size: beside(b"Contact: <sip:a@b" + numbered(b";p%d=1", min(size, 8000)) + b">"),
    "Contact, URI headers": lambda size: beside(b"Contact: <sip:a@b?" + numbered(b"h%d=1&", min(size, 8000)) + b"h=1>"),
    "Contact, escapes": lambda size: beside(b"Contact: <sip:" + filled(b"%61", min(size, 8000)) + b"@b>"),
    "Contact, empty items": lambda size: beside(b"Contact: " + b"," * size),
    "Contact, open brackets": lambda size: beside(b"Contact: " + b"<" * size),
    "Contact, closed brackets": lambda size: beside(b"Contact: <" + b">" * size),
    "Record-Route": lambda size: beside(b"Record-Route: " + filled(b"<sip:a;lr>", size, b",")),
    "Record-Route, 256 entries": lambda size: beside(
        b"Record-Route: " + b",".join([b"<sip:a;lr;x=%s>" % (b"y" * (size // 256 - 20))] * 256)
    ),
    "Path": lambda size: beside(b"Path: " + filled(b"<sip:a;lr>", size, b",")),
    "Supported": lambda size: beside(b"Supported: " + filled(b"a", size, b",")),
    "Supported, 256 long tags": lambda size: beside(b"Supported: " + b",".join([b"a" * (size // 256)] * 256)),
    "Require": lambda size: beside(b"Require: " + filled(b"a", size, b",")),
    "Proxy-Require": lambda size: beside(b"Proxy-Require: " + filled(b"a", size, b",")),
    "Privacy": lambda size: beside(b"Privacy: " + filled(b"a", size, b";")),
    "P-Asserted-Identity": lambda size: beside(
        b"P-Asserted-Identity: " + b",".join([b"<sip:%s@example.test>" % (b"u" * (size // 256 - 30))] * 256)
    ),
    "Reason": lambda size: beside(b"Reason: " + filled(b"SIP;cause=1", size, b",")),
    "From, closed string of escapes": lambda size: instead(b'From: "' + b"\\\\" * (size // 2) + b'" <sip:a@b>;tag=1'),
    "From, open string of escapes": lambda size: instead(b'From: "' + b"\\" * size + b" <sip:a@b>;tag=1"),
    "From, string of escaped quotes": lambda size: instead(b'From: "' + b'\\"' * (size // 2) + b'" <sip:a@b>;tag=1'),
    "From, open string of escaped quotes": lambda size: instead(b'From: "' + b'\\"' * (size // 2) + b"<sip:a@b>;tag=1"),
    "From, open string of other letters": lambda size: instead(
        b'From: "\xc2\xa0' + b'\\"' * (size // 2) + b"<sip:a@b>;tag=1\\"
    ),
    "From, quotes": lambda size: instead(b"From: " + b'"' * size + b" <sip:a@b>;tag=1"),
    "From, odd strings in parameters": lambda size: instead(b"From: <sip:a@b>;tag=1" + numbered(b';p%d="\\\\"', size)),
    "From, parameters": lambda size: instead(b"From: <sip:alice@example.test>;tag=1" + numbered(b";p%d", size)),
    "From, semicolons": lambda size: instead(b"From: <sip:a@b>" + b";" * size),
    "From, blanks": lambda size: instead(b"From: a" + b" \t" * (size // 2) + b"<sip:a@b>;tag=1"),
    "From, escaped controls": lambda size: instead(b'From: "' + b"\\\0" * (size // 2) + b'" <sip:a@b>;tag=1'),
    "To, tag": lambda size: instead(b"To: <sip:bob@example.test>;tag=" + b"t" * size),
    "Call-ID": lambda size: instead(b"Call-ID: " + b"<" * (size // 2) + b"@" + b">" * (size // 2)),
    "CSeq, digits": lambda size: instead(b"CSeq: " + b"9" * size + b" MESSAGE"),
    "CSeq, zeros": lambda size: instead(b"CSeq: " + b"0" * size + b"1 MESSAGE"),
    "CSeq, blanks": lambda size: instead(b"CSeq: 1" + b"\t" * size + b"MESSAGE"),
    "Max-Forwards, zeros": lambda size: instead(b"Max-Forwards: " + b"0" * size + b"7"),
    "Expires": lambda size: beside(b"Expires: " + b"9" * size),
    "Content-Length, zeros": lambda size: START + FIXED + b"Content-Length: " + b"0" * size + b"\r\n\r\n",
    "Content-Length, digits": lambda size: START + FIXED + b"Content-Length: " + b"9" * size + b"\r\n\r\n",
    "Request-URI, parameters": lambda size: beside(b"X-Y: z").replace(
        b".test SIP", b".test" + numbered(b";p%d", min(size, 8000)) + b" SIP", 1
    ),
    "Authorization, fields": lambda size: beside(b"Proxy-Authorization: Digest " + numbered(b"a%d=1,", size) + b"b=1"),
    "Authorization, rows": lambda size: beside(
        b"\r\n".join(
            [b'Proxy-Authorization: Digest realm="example.test",nonce="%s"' % (b"n" * (size // 200 - 60))] * 200
        )
    ),
    "Authorization, quotes": lambda size: beside(b'Proxy-Authorization: Digest a="' + b"\\" * size),
    "Subject, commas": lambda size: beside(b"Subject: " + b"," * size),
    "fold of blanks": lambda size: beside(b"Subject: a" + b" " * size + b"\r\n b"),
    "folds": lambda size: beside(b"Subject: a" + b"\r\n b" * (size // 4)),
    "folds of blanks": lambda size: beside(b"Subject: a" + b"\r\n " * (size // 3)),
    "rows": lambda size: beside(filled(b"a:", size, b"\r\n")),
    "rows, each another": lambda size: beside(numbered(b"a%d:\r\n", size) + b"a:"),
    "rows without names": lambda size: beside(filled(b"\xff", size, b"\r\n")),
    "240 rows": lambda size: beside(
        b"\r\n".join([b"X-%d: %s" % (number, b"z" * (size // 240 - 8)) for number in range(240)])
    ),
    "keepalives": lambda size: b"\r\n\r\n" * (size // 4),
    "empty lines": lambda size: b"\r\n" * (size // 2) + START + FIXED + END,
    "short messages": lambda size: (START + FIXED + END) * (size // len(START + FIXED + END)),
}
"""Messages of about so many octets, each the worst of its kind; where a field is bounded below 64 KB, within its bound."""


def work_of(data: bytes) -> Counter[str]:
    """Count the work for octets that were not seen before."""
    for cache in (rows._kept, fields._name_addrs, fields._via_forms, uri._uris, message._status_lines):
        cache.clear()
    work = Counter({"length": len(data)})
    with work_counted(work):
        serve(data)
    return work


def assert_linear(less: Counter[str], more: Counter[str]) -> None:
    """Check that the work per octet does not grow with the length of a message, except for messages in pieces."""
    for measure in ("steps", "octets"):
        assert more[measure] / more["length"] <= 8 / 7 * less[measure] / less["length"], (measure, less, more)


@pytest.mark.parametrize("kind", wide_unless(set([*WORST][::3]).__contains__, WORST))
@pytest.mark.wide
def test_work_grows_with_the_octets_and_no_faster(kind: str) -> None:
    """Each is longer than a start line may be, where the reader begins to look for the end of that."""
    work = [work_of(WORST[kind](size)) for size in (16_500, 64_000)]
    if (
        kind == "short messages"
    ):  # the search for the end of each walks over that one, and not over all that came with it
        work = [Counter({"steps": one["steps"], "length": one["length"]}) for one in work]
    assert_linear(*work)
    assert work[-1]["steps"] <= STEPS_OF_AN_OCTET * 64_000
    assert work[-1]["octets"] <= OCTETS_OF_AN_OCTET * 64_000


@pytest.mark.parametrize("name", ["Route", "Via", "Contact", "Record-Route", "Path", "Supported", "Require"])
def test_work_grows_with_the_items_of_a_list_and_no_faster(name: str) -> None:
    """Nearly up to the bound of a list, which is 256 items: twice as many items, twice the work."""
    item = {"Via": b"SIP/2.0/TLS a;branch=z9hG4bK1", "Supported": b"t" * 16, "Require": b"t" * 16}.get(name, OURS)
    make = instead if name == "Via" else beside
    assert_linear(*(work_of(make(name.encode() + b": " + b",".join([item] * count))) for count in (60, 240)))


@pytest.mark.parametrize("kind", wide_after(1, ["Via, 256 entries", "folds"]))
def test_work_to_read_octets_that_come_one_by_one_grows_with_them(kind: str) -> None:
    def read(data: bytes) -> Counter[str]:
        reader, work = MessageReader(), Counter({"length": len(data)})
        with work_counted(work):
            for at in range(len(data)):
                reader.add(data[at : at + 1])
                if at < len(data) - 1:
                    assert reader.next() is None
        return work

    assert_linear(*(read(WORST[kind](size)) for size in (30_000, 60_000)))


def test_work_of_a_response_grows_with_its_vias_and_no_faster() -> None:
    def answer(count: int) -> bytes:
        rows = b"".join(b"Via: SIP/2.0/TLS a;branch=z9hG4bK%d\r\n" % number for number in range(count))
        return response(200).encode().replace(b"From", rows + b"From", 1)

    assert_linear(*(work_of(answer(count)) for count in (50, 200)))
