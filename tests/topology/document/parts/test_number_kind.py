"""The kinds of numbers that classes may name."""

from __future__ import annotations

import phonenumbers

from sipmesh.routing.numbers.countries import KINDS
from sipmesh.topology.document.parts.number_kind import NumberKind


def test_each_kind_is_one_of_the_library_and_the_values_are_as_there() -> None:
    kinds = phonenumbers.PhoneNumberType
    assert KINDS == {kinds.PREMIUM_RATE: NumberKind.PREMIUM, kinds.SHARED_COST: NumberKind.SHARED_COST}
