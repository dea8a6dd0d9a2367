"""Whose number it is, and which trunk is tried first."""

from __future__ import annotations

from collections import Counter

import pytest

from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable

PROVIDER = TrunkRoute("provider.test", "gw", ("+",), ("+",))
PBX = TrunkRoute("pbx.test", "gw", ("+4989", "+43"), ("+4989",))
TABLE = TrunkTable((PROVIDER, PBX))


@pytest.mark.parametrize(
    ("name", "number", "may"),
    [
        ("provider.test", "+491705550100", True),
        ("provider.test", "+4989123456", False),
        ("pbx.test", "+4989123456", True),
        ("pbx.test", "+491705550100", False),
        ("unknown.test", "+491705550100", False),
    ],
)
def test_number_belongs_to_the_trunk_with_the_most_of_its_digits(name: str, number: str, *, may: bool) -> None:
    assert TABLE.may_assert(name, number) is may


def test_two_trunks_with_the_same_digits_may_both_assert_a_number() -> None:
    table = TrunkTable((PROVIDER, TrunkRoute("second.test", "gw", ("+",), ())))
    assert table.may_assert("provider.test", "+491705550100")
    assert table.may_assert("second.test", "+491705550100")


@pytest.mark.parametrize(("ours", "may"), [("+4989123", False), ("+4989", False), ("+498", True), ("+43", True)])
def test_number_of_an_application_belongs_to_a_trunk_with_more_of_its_digits_alone(ours: str, *, may: bool) -> None:
    assert TrunkTable((PROVIDER, PBX), (ours,)).may_assert("pbx.test", "+4989123456") is may


def test_longest_match_comes_first_then_the_lowest_priority() -> None:
    spare = TrunkRoute("spare.test", "gw", (), ("+",), priority=1)
    table = TrunkTable((spare, PROVIDER, PBX))
    assert [trunk.name for trunk in table.carrying("+4989123456", "a")] == ["pbx.test", "provider.test", "spare.test"]
    assert [trunk.name for trunk in table.carrying("+491705550100", "a")] == ["provider.test", "spare.test"]
    assert TrunkTable((PBX,)).carrying("+491705550100", "a") == []


def test_emergency_calls_go_to_the_trunks_that_take_them_by_priority() -> None:
    first, second = (TrunkRoute(f"t{n}.test", "gw", (), (), priority=n, emergency=True) for n in (1, 2))
    assert list(TrunkTable((second, PROVIDER, first)).taking_emergencies()) == [first, second]


def test_weights_share_the_calls_of_one_priority() -> None:
    table = TrunkTable((PROVIDER, TrunkRoute("big.test", "gw", (), ("+",), weight=3)))
    first = Counter(table.carrying("+491705550100", str(call))[0].name for call in range(1000))
    assert 700 <= first["big.test"] <= 800
    assert table.carrying("+491705550100", "7") == table.carrying("+491705550100", "7")
