"""The scanners that every list and string goes through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipmesh.sip.text import closing_quote, is_token, octets_of, quote, shown, split_outside, text_of, unquote


@settings(deadline=None)
@given(st.binary())
def test_text_gives_back_every_octet(octets: bytes) -> None:
    assert octets_of(text_of(octets)) == octets


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="\r\n")))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted) == text
    assert closing_quote(quoted) == len(quoted) - 1


@settings(deadline=None)
@given(st.text(alphabet='a,;"\\<> '), st.sampled_from(",;"))
def test_splitting_loses_nothing_but_blanks(text: str, mark: str) -> None:
    assert mark.join(split_outside(text, mark)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ("a,,b,", ["a", "", "b", ""]),
        ('"a,b" <sip:c>, d', ['"a,b" <sip:c>', "d"]),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        (r'"a\\",c', [r'"a\\"', "c"]),
        ("<sip:a,b@c>,<sip:d>", ["<sip:a,b@c>", "<sip:d>"]),
        ('a,"b,c', ["a", '"b,c']),
        ("a,<b,c", ["a", "<b,c"]),
        ('a,"b,\\', ["a", '"b,\\']),
    ],
)
def test_commas_count_outside_strings_and_brackets(text: str, pieces: list[str]) -> None:
    assert split_outside(text, ",") == pieces


@pytest.mark.parametrize(
    "text", ['"' * 40_000, '"\\' * 40_000, "<" * 60_000 + ",", '"\\"' * 20_000 + "\\", "," * 60_000]
)
def test_hostile_text_is_scanned_in_linear_time(text: str) -> None:
    """A quadratic scan of these would take many seconds; this is here to hang, not to measure."""
    assert len(split_outside('"x"<y>' + text, ",")) >= 1
    assert closing_quote('"' + text) >= -1


@pytest.mark.parametrize(
    ("text", "end"), [('"a" b', 2), ('""', 1), (r'"\""', 3), (r'"\\" "', 3), ('"a', -1), (r'"a\"', -1)]
)
def test_the_closing_quote_is_the_first_unescaped_one(text: str, end: int) -> None:
    assert closing_quote(text) == end


@pytest.mark.parametrize(
    ("text", "token"), [("INVITE", True), ("-.!%*_+`'~", True), ("", False), ("a b", False), ("\u00e9", False)]
)
def test_tokens(text: str, *, token: bool) -> None:
    assert is_token(text) is token


def test_what_is_shown_is_short_and_printable() -> None:
    assert shown("a\x00\u00e9") == "'a\\x00\\xe9'"
    assert len(shown("x" * 10_000)) < 100
