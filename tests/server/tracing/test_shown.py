"""What a trace shows of a message: no credentials, no tokens of routes, no keys of media, nothing that a terminal acts on."""

from __future__ import annotations

import json

import pytest

from sipmesh.server.files.file_about import FileAbout, written_xml
from sipmesh.server.tracing.shown import LEFT_OUT, LONGEST_BODY, LONGEST_HEAD, shown_body, shown_head
from sipmesh.sip.framing import parse_message

BEGIN = (
    "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:alice@example.test>;tag=1\r\n"
    "To: <sip:alice@example.test>\r\nCall-ID: c1\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n"
)


def head_of(*lines: str) -> str:
    return shown_head(parse_message((BEGIN + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()))


@pytest.mark.parametrize("field", ["Authorization", "Proxy-Authorization", "AUTHORIZATION "])
def test_answer_to_a_challenge_is_left_out_and_its_user_is_shown(field: str) -> None:
    shown = head_of(
        f'{field}: Digest username="alice", realm="example.test", nonce="n-secret", uri="sip:example.test",'
        ' response="r-secret", cnonce="c-secret", nc=00000001, opaque="o\\"secret", algorithm=SHA-256'
    )
    assert 'username="alice"' in shown
    assert "algorithm=SHA-256" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("value", ["Bearer t-secret", "Basic t-secret", "t-secret", 'Digest\tresponse="t-secret"'])
def test_credentials_of_other_kinds_are_left_out_whole(value: str) -> None:
    assert "t-secret" not in head_of(f"Authorization: {value}")


def test_credentials_in_a_folded_line_are_left_out() -> None:
    assert "f-secret" not in head_of('Authorization: Digest username="alice",\r\n response="f-secret"')


def test_nonce_of_a_challenge_is_left_out() -> None:
    shown = head_of('WWW-Authenticate: Digest realm="example.test", nonce="n-secret", qop="auth"')
    assert "n-secret" not in shown
    assert 'qop="auth"' in shown


def test_token_of_a_route_is_shortened_and_a_user_is_not() -> None:
    token = "abcdefgh" + "t" * 40
    shown = head_of(f"Route: <sip:{token}@fe1.example.test;lr>", "Contact: <sip:alice@192.0.2.1>")
    assert "<sip:abcdefgh...@fe1.example.test;lr>" in shown
    assert "<sip:alice@192.0.2.1>" in shown


def test_text_of_a_sender_is_printable_and_bounded() -> None:
    shown = head_of("Subject: \x1b[2Jgone\u202e", f"X-Long: {'a' * 30_000}")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown) <= LONGEST_HEAD


def test_keys_of_media_are_left_out_of_a_body() -> None:
    lines = (
        "v=0",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k-secret",
        "a=ice-pwd:k-secret",
        "k=clear:k-secret",
        "m=audio 9",
    )
    body = "\r\n".join(lines)
    message = parse_message((BEGIN + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    shown = shown_body(message)
    assert "k-secret" not in shown
    assert "v=0\n" in shown
    assert "m=audio 9" in shown
    assert "k-secret" in shown_body(message, with_keys=True)


def test_link_of_a_file_is_left_out_and_its_size_is_shown() -> None:
    """Who reads a trace could fetch the file otherwise."""
    token = "s" * 43
    about = FileAbout("plan.txt", "text/plain")
    xml = written_xml(about, 12, f"https://m.test/files/{token}", 0.0).replace(
        "</file-info>", "<file-key>k-secret</file-key>"
    )
    for body in (
        xml,
        xml.replace('"', "'"),
        f"see https://m.test/files/{token} or <data URL = 'https://x.test/{token}'/>",
    ):
        message = parse_message((BEGIN + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        shown = shown_body(message, with_keys=True)
        assert (token in shown, "k-secret" in shown) == (False, False)
        assert "see" in shown or "<file-size>12</file-size>" in shown
    hostile = "<data " * 5_000
    assert shown_body(parse_message((BEGIN + f"Content-Length: {len(hostile)}\r\n\r\n{hostile}").encode()))


def test_link_at_the_end_of_what_is_shown_is_left_out_too() -> None:
    """A part of it would leave little to guess."""
    body = "x" * (LONGEST_BODY - 49) + "/files/" + "s" * 43
    assert "ssss" not in shown_body(parse_message((BEGIN + f"Content-Length: {len(body)}\r\n\r\n{body}").encode()))


def test_tickets_and_credentials_of_a_profile_are_left_out() -> None:
    """Who reads a trace could act as the user otherwise."""
    account = {"contacts": "https://m.test/contacts", "ticket": "t-secret.x"}
    body = json.dumps(
        {"iceServers": [{"urls": [], "username": "1:alice", "credential": "c-secret"}], "account": account}
    )
    message = parse_message((BEGIN + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    left_out = body.replace("t-secret.x", LEFT_OUT).replace("c-secret", LEFT_OUT)
    assert shown_body(message) == shown_body(message, with_keys=True) == left_out


def test_body_that_is_no_text_is_escaped_and_bounded() -> None:
    for octets in (bytes(range(256)) * 400, b"k=\r\n" * 8_000):
        message = parse_message(BEGIN.encode() + b"Content-Length: %d\r\n\r\n" % len(octets) + octets)
        shown = shown_body(message)
        assert len(shown) <= LONGEST_BODY
        assert "\x1b" not in shown
