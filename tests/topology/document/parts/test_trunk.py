"""The keys of a trunk: which numbers can be written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.trunk import Trunk

GATEWAY = "gw.example.test"


def test_trunk_asserts_and_carries_nothing_by_default() -> None:
    trunk = Trunk(gateway=GATEWAY)
    assert (trunk.asserts, trunk.carries, trunk.main_number) == ((), (), None)


@pytest.mark.parametrize("prefix", ["+", "+4", "+493012345", "+123456789012345"])
def test_prefix_is_the_begin_of_a_global_number(prefix: str) -> None:
    assert Trunk(gateway=GATEWAY, asserts=(prefix,)).asserts == (prefix,)


@pytest.mark.parametrize("prefix", ["", "49", "0049", "+0", "+49 30", "+49a", "+1234567890123456", "tel:+49", "+49\n"])
def test_other_texts_are_no_prefix(prefix: str) -> None:
    with pytest.raises(ValidationError):
        Trunk(gateway=GATEWAY, carries=(prefix,))


@pytest.mark.parametrize("number", ["+", "+49112", "112", "+0301234567", "+1234567890123456"])
def test_main_number_is_whole(number: str) -> None:
    assert Trunk(gateway=GATEWAY, main_number="+493012345").main_number == "+493012345"
    with pytest.raises(ValidationError):
        Trunk(gateway=GATEWAY, main_number=number)
