"""One line for each cause, not for each repetition."""

from __future__ import annotations

from sipmesh.server.repeated_log import PERIOD_S, RepeatedLog


def test_one_line_a_period_for_each_key() -> None:
    seldom = RepeatedLog()
    assert seldom.is_due("fe1", 0.0)
    assert not seldom.is_due("fe1", PERIOD_S - 0.1)
    assert seldom.is_due("fe2", PERIOD_S - 0.1)
    assert seldom.is_due("fe1", PERIOD_S)
    assert not seldom.is_due("fe1", PERIOD_S + 1)
