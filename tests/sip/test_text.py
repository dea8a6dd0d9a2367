"""The scanners that every list and string goes through."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.sip.text import (
    _PIECE,
    _STRING_OR_REST,
    TOKEN,
    all_printable,
    ascii_lower,
    ascii_upper,
    closing_quote,
    has_control,
    has_only,
    is_digits,
    is_token,
    octets_of,
    quote,
    separators,
    shown,
    split_outside,
    table_of,
    text_of,
    unquote,
    without_escaped_controls,
)


@given(st.binary())
def test_text_gives_back_every_octet(octets: bytes) -> None:
    assert octets_of(text_of(octets)) == octets


@given(st.text() | st.text(alphabet=st.characters(max_codepoint=0x7F)))
def test_table_of_characters_finds_the_same_as_a_set(text: str) -> None:
    assert has_only(text, table_of(TOKEN)) == TOKEN.issuperset(text)
    assert all_printable(text) == text.isprintable()


@given(st.text(alphabet=st.characters(exclude_characters="\r\n")))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted) == text
    assert closing_quote(quoted) == len(quoted) - 1


@given(st.text(alphabet='a,;"\\<> '), st.sampled_from(",;"))
def test_splitting_loses_nothing_but_blanks(text: str, mark: str) -> None:
    assert mark.join(split_outside(text, mark)).replace(" ", "") == text.replace(" ", "")


@given(st.text(alphabet='a,"'))
def test_text_is_cut_at_its_separators_whether_or_not_its_strings_hold_some(text: str) -> None:
    cuts = [-1, *separators(text, ","), len(text)]
    assert split_outside(text, ",") == [text[left + 1 : right] for left, right in pairwise(cuts)]


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


def test_shown_text_is_short_and_printable() -> None:
    assert shown("a\x00\u00e9") == "'a\\x00\\xe9'"
    assert len(shown("x" * 10_000)) < 100


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("aZ-09", "az-09", "AZ-09"),
        ("\u212aK", "\u212ak", "\u212aK"),
        ("\u017fs", "\u017fs", "\u017fS"),
        ("\u0130\u00df\u00c4", "\u0130\u00df\u00c4", "\u0130\u00df\u00c4"),
        ("", "", ""),
    ],
)
def test_case_is_that_of_ascii(text: str, lower: str, upper: str) -> None:
    assert (ascii_lower(text), ascii_upper(text)) == (lower, upper)


@given(st.text(st.characters(codec="ascii")))
def test_case_of_ascii_is_python_s(text: str) -> None:
    assert (ascii_lower(text), ascii_upper(text)) == (text.lower(), text.upper())


@pytest.mark.parametrize(
    ("text", "digits"),
    [("0", True), ("0123456789", True), ("", False), ("1 ", False), ("\u0661", False), ("\u00b2", False)],
)
def test_digits_are_those_of_ascii(text: str, *, digits: bool) -> None:
    assert is_digits(text) is digits


def test_blanks_are_space_and_tab() -> None:
    assert split_outside(" a\u00a0, \tb\u2003;", ",") == ["a\u00a0", "b\u2003;"]
    assert split_outside('\x0b"a" ,\x1fb', ",") == ['\x0b"a"', "\x1fb"]


@given(st.characters())
def test_controls_are_c0_del_c1_and_two_separators(character: str) -> None:
    control = (unicodedata.category(character) == "Cc" and character != "\t") or character in "\u2028\u2029"
    assert has_control(f"a{character}b") is control


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ('"a\\\0b" <sip:x>', '"a?b" <sip:x>'),
        ('"a\\\\\0b"', '"a\\\\\0b"'),
        ('"a\\"\\\x07"', '"a\\"?"'),
        ("a\\\0b", "a\\\0b"),
        ('"a" \\\0', '"a" \\\0'),
        ('"a\\\n"', '"a\\\n"'),
    ],
)
def test_escaped_controls_in_a_quoted_string_are_replaced(text: str, without: str) -> None:
    assert without_escaped_controls(text) == without


@given(st.text(st.sampled_from('"\\<>,; a\0\n')))
def test_scans_never_fail_at_a_quote_or_bracket(text: str) -> None:
    """So that a scan walks over each character once: where one failed, the next would begin inside what it walked over."""
    for pattern in (_PIECE, _STRING_OR_REST):
        assert pattern.match('"' + text) is not None
    assert _PIECE.match("<" + text) is not None
