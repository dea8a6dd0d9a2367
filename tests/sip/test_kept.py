"""What was made of texts lately is bounded, whatever a peer sends."""

from __future__ import annotations

from sipmesh.sip.kept import keep


def test_what_is_kept_is_given_back_and_found() -> None:
    held: dict[str, int] = {}
    assert keep(held, 2, "one", 1) == 1
    assert held == {"one": 1}


def test_all_is_let_go_by_the_first_that_is_too_many() -> None:
    held: dict[str, int] = {}
    keep(held, 2, "one", 1)
    keep(held, 2, "two", 2)
    assert held == {"one": 1, "two": 2}
    keep(held, 2, "three", 3)
    assert held == {"three": 3}
