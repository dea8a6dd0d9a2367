"""The pace of all decides how long one may take."""

from __future__ import annotations

import pytest

from sipmesh.transport.pace import Pace


@pytest.mark.parametrize(("took_s", "patience_s"), [(0.1, 1.5), (4.0, 16.0), (1e6, 20.0)])
def test_each_may_take_four_times_as_long_as_others_do_up_to_a_bound(took_s: float, patience_s: float) -> None:
    pace = Pace(5.0)
    assert pace.patience(1.5) == 1.5
    for _ in range(200):
        pace.took(took_s)
    assert pace.patience(1.5) == pytest.approx(patience_s, abs=0.1)


def test_pace_follows_what_is_quick_again() -> None:
    pace = Pace(5.0)
    pace.took(4.0)
    slow_s = pace.mean_s
    pace.took(0.0)
    assert 0.0 < pace.mean_s < slow_s
