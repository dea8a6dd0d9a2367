"""What `make test` leaves to `make test-wide`: values of a parametrised test, and never an attack as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers

from support.checkout import ROOT
from support.examples import examples
from support.tiers import WIDE, wide_after, wide_unless

TESTS_OF_TESTS = {"test_identity_machine.py", "test_mutated_demo.py", "test_mutated_matrix.py", "test_mutations.py"}
"""They show that a test of an attack fails without the check that it is about."""


def test_first_values_stay_in_make_test() -> None:
    rows = wide_after(1, ["a", ("b", 2), pytest.param("c", marks=pytest.mark.peer("openssl"), id="third")])
    assert [row.values for row in rows] == [("a",), ("b", 2), ("c",)]
    assert [[mark.name for mark in row.marks] for row in rows] == [[], ["wide"], ["peer", "wide"]]
    assert rows[2].id == "third"
    assert wide_after(9, ["a"]) == [pytest.param("a")]


def test_chosen_values_stay_in_make_test() -> None:
    rows = wide_unless(lambda pair: pair[1] > 1, [("a", 1), ("b", 2)])
    assert [(row.values, [mark.name for mark in row.marks]) for row in rows] == [(("a", 1), ["wide"]), (("b", 2), [])]


@pytest.mark.parametrize(("profile", "count"), [("quick", 60), ("sipmesh", 300)])
def test_property_gets_a_fifth_of_its_examples_in_make_test(profile: str, count: int) -> None:
    was = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        assert _given(examples(300)).max_examples == count
        assert _given(settings()).max_examples == count // 3
    finally:
        settings.load_profile(was)


def _given(how: Callable[[Callable[[int], None]], Callable[[int], None]]) -> settings:
    """Tell the settings of a property."""

    @how
    @given(integers())
    def prop(_number: int) -> None: ...

    found: settings = prop._hypothesis_internal_use_settings  # type: ignore[attr-defined]
    return found


def test_each_attack_has_a_representative_in_make_test() -> None:
    """So no function and no module of an attack is marked as a whole: only values of it are."""
    whole = re.compile(r"^@(pytest\.mark\.wide|WIDE)|^pytestmark.*(mark\.wide|WIDE)", re.MULTILINE)
    marked = {file.name for file in (ROOT / "tests/attacks").glob("test_*.py") if whole.search(file.read_text("utf-8"))}
    assert marked <= TESTS_OF_TESTS


def test_each_test_is_in_one_tier_and_ci_runs_both() -> None:
    """A property is in both: with some of its examples in the first, with all of them in the second."""
    makefile, ci = (ROOT / "Makefile").read_text("utf-8"), (ROOT / ".ci/run").read_text("utf-8")
    assert 'QUICK := $(RUN) --hypothesis-profile=quick -m "not soak and not wide"' in makefile
    assert 'WIDE := $(RUN) -m "(wide or hypothesis) and not soak"' in makefile
    assert {"make test", "make test-wide"} <= set(ci.splitlines())
    assert WIDE.name == "wide"
