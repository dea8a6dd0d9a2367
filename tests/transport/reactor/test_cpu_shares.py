"""Which principals are served last, because they have had far more CPU time than others."""

from __future__ import annotations

import pytest

from sipmesh.routing.overload import Demand
from sipmesh.transport.reactor.cpu_shares import HEAVY_S, HEAVY_SHARE, CpuShares


@pytest.mark.parametrize(("used_s", "is_heavy"), [(HEAVY_S, False), (HEAVY_S + 0.001, True)])
def test_principal_that_has_had_more_than_so_much_is_heavy(used_s: float, *, is_heavy: bool) -> None:
    shares, demand = CpuShares(), Demand()
    shares.charge(demand, used_s, 1.0)
    assert shares.is_heavy(demand, 1.0) is is_heavy


@pytest.mark.parametrize(("count", "is_heavy"), [(HEAVY_SHARE - 1, True), (HEAVY_SHARE, False)])
def test_nobody_is_heavy_among_equals(count: int, *, is_heavy: bool) -> None:
    """Where eight ask for the same, nobody has taken it from others."""
    shares, demands = CpuShares(), [Demand() for _ in range(count)]
    for demand in demands:
        shares.charge(demand, 1.0, 1.0)
    assert {shares.is_heavy(demand, 1.0) for demand in demands} == {is_heavy}


def test_half_of_the_time_is_forgotten_each_second() -> None:
    shares, demand = CpuShares(), Demand()
    shares.charge(demand, 8 * HEAVY_S, 1.0)
    assert [shares.is_heavy(demand, 1.0 + passed) for passed in (0, 2.9, 3.1)] == [True, True, False]


def test_servers_of_ours_are_never_heavy() -> None:
    """One carries the messages of many users. What it has had counts among all."""
    shares, demand = CpuShares(), Demand()
    shares.charge(None, 100.0, 1.0)
    shares.charge(demand, 1.0, 1.0)
    assert not shares.is_heavy(None, 1.0)
    assert not shares.is_heavy(demand, 1.0)
