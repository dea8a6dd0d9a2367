"""What was made of texts lately is bounded, whatever a peer sends."""

from __future__ import annotations

from sipmesh.sip.kept import keep


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
