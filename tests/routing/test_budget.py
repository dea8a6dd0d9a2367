"""Which entry is displaced at a limit: the oldest of the same principal, or of the principal with the most entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.routing.budget import Budget


@pytest.mark.parametrize(("each", "gone"), [(2, "a1"), (3, None)])
def test_oldest_entry_of_a_principal_is_displaced_past_its_limit(each: int, gone: str | None) -> None:
    budget = Budget[str](each, 100)
    assert [budget.add("a", thing) for thing in ("a1", "a2", "a3")] == [None, None, gone]
    assert budget.count("a") == min(each, 3)


@pytest.mark.parametrize(("total", "gone"), [(3, "a1"), (4, None)])
def test_oldest_entry_of_the_largest_principal_is_displaced_past_the_total(total: int, gone: str | None) -> None:
    budget = Budget[str](100, total)
    for principal, thing in (("b", "b1"), ("a", "a1"), ("a", "a2")):
        assert budget.add(principal, thing) is None
    assert budget.add("c", "c1") == gone


def test_removed_entry_is_not_counted_as_displaced() -> None:
    budget = Budget[str](1, 1)
    budget.add("a", "a1")
    assert (budget.remove("a", "a1"), budget.remove("a", "a1")) == (True, False)
    assert budget.add("b", "b1") is None


def test_empty_budget_displaces_nothing() -> None:
    assert Budget[str](1, 1).displace_one() is None
    assert Budget[str](1, 1).oldest_of_most() is None


def test_oldest_of_the_principal_with_most_is_reported_and_stays() -> None:
    budget = Budget[str](3, 3)
    for principal, thing in (("b", "b1"), ("a", "a1"), ("a", "a2")):
        budget.add(principal, thing)
    assert (budget.oldest_of_most(), len(budget)) == ("a1", 3)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=200))
def test_no_principal_loses_an_entry_to_a_larger_principal(steps: list[tuple[str, bool]]) -> None:
    budget = Budget[tuple[str, int]](4, 8)
    for number, (principal, leaves) in enumerate(steps):
        before = {one: budget.count(one) for one in "abcde"}
        gone = budget.add(principal, (principal, number))
        assert len(budget) <= 8
        if gone is not None:
            assert before[gone[0]] == (before[principal] if gone[0] == principal else max(before.values()))
        if leaves:
            budget.remove(principal, (principal, number))


def test_oldest_of_each_principal_is_listed_the_fullest_first() -> None:
    """Who gives way may depend on more than on its age: then the caller chooses."""
    budget = Budget[str](9, 9)
    for principal, thing in (("a", "a1"), ("b", "b1"), ("b", "b2")):
        budget.add(principal, thing)
    assert budget.oldest_of_each() == [("b", "b1"), ("a", "a1")]
    assert (budget.oldest("b"), budget.oldest("c")) == ("b1", None)
    assert (budget.displace("b"), budget.oldest("b"), budget.displaced, budget.size) == ("b1", "b2", 1, 2)
