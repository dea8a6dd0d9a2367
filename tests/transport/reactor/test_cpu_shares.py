"""Which principals are served last, because they have had far more CPU time than others."""

from __future__ import annotations

import pytest

from sipmesh.routing.overload import PARTS_OF_SERVER, PARTS_OF_USER, Demand
from sipmesh.transport.reactor.cpu_shares import HEAVY_S, CpuShares


@pytest.mark.parametrize(("used_s", "is_heavy"), [(HEAVY_S, False), (HEAVY_S + 0.001, True)])
def test_principal_that_has_had_more_than_so_much_is_heavy(used_s: float, *, is_heavy: bool) -> None:
    shares, demand = CpuShares(), Demand()
    shares.charge(demand, used_s, 1.0)
    assert shares.is_heavy(demand, 1.0) is is_heavy


@pytest.mark.parametrize("parts", [PARTS_OF_USER, PARTS_OF_SERVER])
@pytest.mark.parametrize(("fewer", "is_heavy"), [(1, True), (0, False)])
def test_no_principal_is_heavy_among_equals(parts: int, fewer: int, *, is_heavy: bool) -> None:
    """Where eight users, or two servers, ask for the same, no principal has taken it from others."""
    shares, demands = CpuShares(), [Demand(parts) for _ in range(parts - fewer)]
    for demand in demands:
        shares.charge(demand, 1.0, 1.0)
    assert {shares.is_heavy(demand, 1.0) for demand in demands} == {is_heavy}


def test_half_of_the_time_is_forgotten_each_second() -> None:
    shares, demand = CpuShares(), Demand()
    shares.charge(demand, 8 * HEAVY_S, 1.0)
    assert [shares.is_heavy(demand, 1.0 + passed) for passed in (0, 2.9, 3.1)] == [True, True, False]


@pytest.mark.parametrize(("others_s", "is_heavy"), [(0.2, True), (0.8, False)])
def test_server_with_most_of_the_time_is_heavy_and_one_beside_busy_others_is_not(
    others_s: float, *, is_heavy: bool
) -> None:
    """One carries the messages of many users. Others have their time by what takes too little to be charged."""
    shares, server, now = CpuShares(), Demand(PARTS_OF_SERVER), 1.0
    for second in range(1, 10):
        now += 1.0
        shares.charge(server, 0.3, now, second * (0.3 + others_s))
    assert shares.is_heavy(server, now) is is_heavy


def test_this_server_is_never_heavy() -> None:
    """What it has had counts among all."""
    shares, demand = CpuShares(), Demand()
    shares.charge(None, 100.0, 1.0)
    shares.charge(demand, 1.0, 1.0)
    assert not shares.is_heavy(None, 1.0)
    assert not shares.is_heavy(demand, 1.0)


def test_it_is_worth_to_ask_until_the_last_principal_has_little_left() -> None:
    shares, demand, other = CpuShares(), Demand(), Demand()
    assert shares.heavy_until == 0.0
    shares.charge(demand, 8 * HEAVY_S, 1.0)
    shares.charge(other, 2 * HEAVY_S, 1.5)
    assert shares.heavy_until == pytest.approx(4.0)
    assert not shares.is_heavy(demand, shares.heavy_until)


def test_it_is_not_worth_to_ask_while_no_principal_has_had_much() -> None:
    shares = CpuShares()
    shares.charge(Demand(), HEAVY_S, 1.0, 100.0)
    assert shares.heavy_until == 0.0
