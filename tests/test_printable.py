"""What of other people's text an operator sees: every character of it, and none that does anything."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from sipmesh.printable import LONGEST, printable, printable_json, printable_lines
from support.tiers import wide_after

EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))
ACTS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_no_character_that_acts_or_hides_gets_through() -> None:
    shown = printable(EVERY_CHARACTER, len(EVERY_CHARACTER))
    assert {unicodedata.category(one) for one in set(shown)} & ACTS == set()
    assert set(shown) & set("\u034f\u115f\u3164\ufe0f\U000e0100\u00a0") == set()
    shown.encode()  # a lone surrogate could not be written


def test_letters_of_every_script_stay_as_they_are() -> None:
    plain = "Zoë Müller Ωμέγα Привет 漢字 שלום नमस्ते ✓ → 😀 [red] :smile: \\x1b"
    assert printable(plain) == plain


@pytest.mark.parametrize(("length", "cut"), [(LONGEST, False), (LONGEST + 1, True)])
def test_text_is_cut_at_the_limit_and_its_length_given(length: int, cut: bool) -> None:  # noqa: FBT001 - a parameter
    assert (printable("x" * length) == "x" * length) is not cut
    assert printable("x" * length).endswith("... (2001 letters)") is cut


def test_lines_of_a_document_stay_lines() -> None:
    assert printable_lines("a\nb\x1b\n\n" + "x" * LONGEST * 2) == "a\nb\\x1b\n\n" + "x" * LONGEST * 2


@pytest.mark.parametrize("ensure_ascii", wide_after(1, [False, True]), ids=["raw", "escaped"])
@pytest.mark.wide
def test_json_keeps_its_meaning_for_every_character(ensure_ascii: bool) -> None:  # noqa: FBT001 - a parameter
    made = printable_json(json.dumps([EVERY_CHARACTER], ensure_ascii=ensure_ascii, indent=1))
    assert json.loads(made) == [EVERY_CHARACTER.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")]
    assert {unicodedata.category(one) for one in set(made) - {"\n"}} & ACTS == set()
