"""A form stands for exactly the REGISTERs that a parser would read alike, but for branch, CSeq number and credentials."""

from __future__ import annotations

import pytest

from sipmesh.routing.registrar.refresh_form import LONGEST, LONGEST_BRANCH, LONGEST_CREDENTIALS, RefreshForm, form_of
from sipmesh.sip.message import Request, Response, build_request, copied_rows
from sipmesh.sip.rows import header_rows

VIA = "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK-one;rport"


def register(via: str = VIA, *headers: tuple[str, str]) -> Request:
    """A REGISTER of alice's phone, with credentials."""
    return build_request(
        "REGISTER",
        "sip:example.test",
        [
            ("via", via),
            ("from", "<sip:alice@example.test>;tag=x"),
            ("to", "<sip:alice@example.test>"),
            ("call-id", "c1"),
            ("cseq", "17 REGISTER"),
            ("authorization", 'Digest username="alice", nc=00000001'),
            ("contact", "<sip:alice@192.0.2.1;transport=tls>"),
            *headers,
        ],
    )


ADDED = header_rows([("contact", "<sip:alice@192.0.2.1>;expires=60"), ("content-length", "0")])


def learnt(request: Request, via: str = VIA) -> RefreshForm | None:
    """The form of a REGISTER that was answered with 200."""
    return form_of(request, via, copied_rows(request), ADDED)


@pytest.fixture(name="form")
def _form() -> RefreshForm:
    found = learnt(register())
    assert found is not None
    return found


def test_repeated_register_is_read_and_answered_by_its_octets(form: RefreshForm) -> None:
    again = register(VIA.replace("-one", "-2.two"))
    octets = again.encode().replace(b"17 REGISTER", b"180 REGISTER").replace(b"nc=00000001", b"nc=000000ff")
    assert form.read(octets) == (b"z9hG4bK-2.two", b"180")
    assert form.call_id == "c1"
    wanted = Response(200, "OK", [*copied_rows(again), *header_rows([("date", "now")]), *ADDED]).encode()
    assert form.answer(b"z9hG4bK-2.two", b"180", b"Date: now\r\n") == wanted.replace(b"17 REGISTER", b"180 REGISTER")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"REGISTER sip:", b"REGISTER sips:"),
        (b"tag=x", b"tag=y"),
        (b"<sip:alice@example.test>\r\nCall-ID", b"<sip:bob@example.test>\r\nCall-ID"),
        (b"Call-ID: c1", b"Call-ID: c2"),
        (b"192.0.2.1;transport", b"192.0.2.2;transport"),
        (b"Content-Length: 0", b"Content-Length: 4"),
        (b"\r\n\r\n", b"\r\nExpires: 0\r\n\r\n"),
        (b"\r\n\r\n", b"\r\n\r\nMESSAGE sip:bob@example.test SIP/2.0\r\n"),
        (b"\r\n\r\n", b"\r\n"),
        (b"-one;rport", b"-one;x=1;rport"),
        (b"-one;rport", b"-one, SIP/2.0/TLS evil.test;branch=z9hG4bK-b;rport"),
        (b"-one;rport", b"-one\r\nRoute: <sip:evil.test>;rport"),
        (b"-one;rport", b"-o\xc3\xa9ne;rport"),
        (b"z9hG4bK-one", b"z9hG4bK"),
        (b"z9hG4bK-one", b"another"),
        (b"z9hG4bK-one", b""),
        (b"17 REGISTER", b"017 REGISTER"),
        (b"17 REGISTER", b"-17 REGISTER"),
        (b"17 REGISTER", b"1_7 REGISTER"),
        (b"17 REGISTER", b" REGISTER"),
        (b"17 REGISTER", b"17 REGISTER\r\nCSeq: 18 REGISTER"),
        (b"17 REGISTER", b"2147483648 REGISTER"),
        (b"nc=0", b"nc=\x000"),
        (b"nc=0", b"nc=\n0"),
        (b"nc=0", b"nc=\r\n Route: <sip:evil.test>0"),
        (b"nc=0", b"nc=\r\nExpires: 0\r\nAuthorization: 0"),
        (b"nc=0", b"nc=\xff0"),
        (b"nc=0", b"nc=\x7f0"),
    ],
)
def test_anything_else_is_left_to_the_parser(form: RefreshForm, old: bytes, new: bytes) -> None:
    octets = register().encode()
    assert form.read(octets) is not None
    changed = octets.replace(old, new, 1)
    assert changed != octets
    assert form.read(changed) is None


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_part_of_a_register_is_left_to_the_parser(form: RefreshForm, cut: int) -> None:
    octets = register().encode()
    assert form.read(octets[:-cut]) is None
    assert form.read(octets[cut:]) is None
    assert form.read(octets + octets) is None


@pytest.mark.parametrize(("more", "is_read"), [(0, True), (1, False)])
def test_values_have_a_length(form: RefreshForm, more: int, *, is_read: bool) -> None:
    octets = register().encode()
    branch = b"z9hG4bK".ljust(LONGEST_BRANCH + more, b"b")
    credentials = b"Digest ".ljust(LONGEST_CREDENTIALS + more, b"c")
    assert (form.read(octets.replace(b"z9hG4bK-one", branch)) is not None) is is_read
    assert (form.read(octets.replace(b'Digest username="alice", nc=00000001', credentials)) is not None) is is_read
    assert (form.read(octets.replace(b"17 REGISTER", b"9" * (9 + more) + b" REGISTER")) is not None) is is_read


@pytest.mark.parametrize(
    ("via", "headers"),
    [
        (VIA, [("event", "reg")]),
        (VIA.replace("TLS", "WSS"), []),
        (VIA, [("proxy-require", "x")]),
        (VIA, [("route", "<sip:example.test;lr>")]),
        (VIA, [("authorization", "Digest x")]),
        (VIA, [("via", "SIP/2.0/TLS 192.0.2.9;branch=z9hG4bK-lower")]),
        ("SIP/2.0/TLS 192.0.2.1", []),
        ('SIP/2.0/TLS 192.0.2.1;branch="z9hG4bK-one"', []),
        ("SIP/2.0/TLS 192.0.2.1; branch = z9hG4bK-one", []),
    ],
)
def test_register_of_another_kind_has_no_form(via: str, headers: list[tuple[str, str]]) -> None:
    assert learnt(register(via, *headers), via) is None


@pytest.mark.parametrize(("more", "has_form"), [(0, True), (1, False)])
def test_long_register_has_no_form(more: int, *, has_form: bool) -> None:
    """The octets of values that are new each time do not count."""
    least = sum(map(len, (b"z9hG4bK-one", b"17", b'Digest username="alice", nc=00000001')))
    filler = "x" * (LONGEST + least - len(register(VIA, ("user-agent", "")).encode()) + more)
    assert (learnt(register(VIA, ("user-agent", filler))) is not None) is has_form
