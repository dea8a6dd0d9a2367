"""How many new calls a trunk may have in one second."""

from __future__ import annotations

from sipmesh.routing.numbers.call_rates import CallRates
from sipmesh.routing.numbers.trunk_table import TrunkRoute

TRUNK = TrunkRoute("sbc.test", "gw", (), (), calls_per_second=2)


def test_each_direction_has_its_calls_in_each_second() -> None:
    rates = CallRates()
    for inwards in (True, False):
        assert [admitted(rates, 7.0 + step / 10, inwards=inwards) for step in range(4)] == [True, True, False, False]
    assert admitted(rates, 8.0, inwards=True)


def admitted(rates: CallRates, now: float, *, inwards: bool) -> bool:
    """Ask for one more call, and count it."""
    if not rates.admits(TRUNK, now, inwards=inwards):
        return False
    rates.count(TRUNK, inwards=inwards)
    return True


def test_trunk_without_a_limit_is_always_admitted() -> None:
    rates, free = CallRates(), TrunkRoute("free.test", "gw", (), ())
    for _ in range(100):
        assert rates.admits(free, 1.0, inwards=True)
        rates.count(free, inwards=True)
