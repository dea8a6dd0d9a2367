"""What was made of texts lately is bounded, whatever a peer sends."""

from __future__ import annotations

from sipmesh.sip.kept import LONGEST_KEY, keep, short_key


def test_stored_value_is_returned_and_found() -> None:
    held: dict[str, int] = {}
    assert keep(held, 2, "one", 1) == 1
    assert held == {"one": 1}


def test_full_cache_is_cleared_before_the_next_entry() -> None:
    held: dict[str, int] = {}
    keep(held, 2, "one", 1)
    keep(held, 2, "two", 2)
    assert held == {"one": 1, "two": 2}
    keep(held, 2, "three", 3)
    assert held == {"three": 3}


def test_text_up_to_the_limit_is_its_own_key() -> None:
    assert short_key("x" * LONGEST_KEY) == "x" * LONGEST_KEY


def test_longer_texts_have_short_keys_which_differ() -> None:
    one, other = "x" * (LONGEST_KEY + 1), "x" * LONGEST_KEY + "\udcff"
    assert len({short_key(one), short_key(other)}) == 2
    assert max(len(short_key(one)), len(short_key(other))) <= LONGEST_KEY
