"""Bounds of users and trunks in words."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.cli.topology.simulation.bounds import bounds_told, is_open, trunk_bounds_told
from sipmesh.routing.numbers.call_bounds import Bounds, Hours
from sipmesh.routing.numbers.dial_plan import DialPlan, NumberClass
from sipmesh.routing.numbers.trunk_table import TrunkRoute

NOON = datetime(2027, 7, 1, 12, tzinfo=UTC)
PREMIUM = NumberClass("premium", ("+49900",), True, frozenset(), Bounds(1), Hours(8 * 60, 14 * 60))  # noqa: FBT003
PLAN = DialPlan(classes=(PREMIUM,), per_user=Bounds(None, 60), zone="Europe/Berlin")


def test_bounds_of_user_and_class_have_their_hours() -> None:
    """Noon in UTC is 14:00 in Berlin, where the class closes at that minute."""
    told = bounds_told(PLAN, PREMIUM, NOON)
    assert told.startswith("each user: 60 minutes in 24 hours; each user, to premium numbers: 1 calls at the same time")
    assert "in Europe/Berlin, where it is 14:00: closed" in told
    assert is_open(PREMIUM, "UTC", NOON)
    assert not is_open(PREMIUM, "Europe/Berlin", NOON)
    assert bounds_told(DialPlan(), None, NOON) == "none"


def test_bounds_of_a_trunk_end_the_sentence() -> None:
    trunk = TrunkRoute("sbc.test", "gw", (), (), channels=2, calls_per_second=3, minutes=4)
    wanted = "; it carries 2 channels, 3 calls a second, 4 minutes in 24 hours, calls of 240 minutes at most"
    assert trunk_bounds_told(trunk) == wanted
