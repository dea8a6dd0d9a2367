"""How much of the reports of one server is read in one period."""

from __future__ import annotations

from sipmesh.distribution.report_budget import FLOOD, LEAST_OCTETS, MOST_OCTETS, PERIOD_S, ReportBudget


def test_reports_of_one_server_are_read_up_to_so_many_octets_and_those_of_another_are_counted_apart() -> None:
    budget = ReportBudget(lambda: 0.0)
    assert budget.admits("fe1", MOST_OCTETS)
    assert not budget.admits("fe1", 1)
    assert budget.admits("fe2", MOST_OCTETS)
    assert not budget.is_flood("fe1")


def test_short_reports_count_for_the_time_that_they_take() -> None:
    budget = ReportBudget(lambda: 0.0)
    most = MOST_OCTETS // LEAST_OCTETS
    assert [budget.admits("fe1", 1) for _ in range(most + 1)] == [*[True] * most, False]


def test_server_that_goes_on_is_a_flood_until_the_next_period() -> None:
    now = [0.0]
    budget = ReportBudget(lambda: now[0])
    for _ in range(FLOOD):
        budget.admits("fe1", MOST_OCTETS)
        assert not budget.is_flood("fe1")
    budget.admits("fe1", 1)
    assert budget.is_flood("fe1")
    now[0] = PERIOD_S
    assert budget.admits("fe1", 1)
    assert not budget.is_flood("fe1")
