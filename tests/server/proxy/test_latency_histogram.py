"""The histogram: the bucket of a time, and the values for Prometheus."""

from __future__ import annotations

import math

import pytest

from sipmesh.server.proxy.latency_histogram import BOUNDS, LatencyHistogram


@pytest.mark.parametrize("bound", BOUNDS)
def test_upper_bound_belongs_to_its_bucket(bound: float) -> None:
    waits = LatencyHistogram()
    waits.add(bound)
    waits.add(math.nextafter(bound, math.inf))
    place = BOUNDS.index(bound)
    assert waits.counts[place : place + 2] == [1, 1]
    assert sum(waits.counts) == 2


def test_each_bound_has_the_count_of_all_shorter_waits() -> None:
    waits = LatencyHistogram()
    for seconds in (0.0, 0.002, 0.002, 1_000.0):
        waits.add(seconds)
    found = dict(waits.up_to())
    assert (found[0.001], found[0.0025], found[180.0], found[math.inf]) == (1, 3, 3, 4)
    assert waits.total == pytest.approx(1_000.004)
