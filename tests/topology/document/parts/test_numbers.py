"""The keys of `numbers`: what can be written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.numbers import NumberClass, Numbers


def test_nothing_is_national_and_no_number_is_restricted_by_default() -> None:
    numbers = Numbers()
    assert (numbers.country, numbers.national, numbers.international) == (None, "0", "00")
    assert (numbers.emergency, numbers.classes) == ((), ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": "+49"},
        {"country": "049"},
        {"country": 49},
        {"national": ""},
        {"international": "+"},
        {"emergency": ["+112"]},
        {"emergency": [112]},
        {"emergency": ["1"]},
        {"classes": [{"name": "neighbours", "countries": ["at"]}]},
        {"classes": [{"name": "neighbours", "countries": ["AUT"]}]},
        {"classes": [{"name": "premium", "kinds": ["mobile"]}]},
        {"classes": [{"name": "premium", "numbers": ["900"]}]},
        {"classes": [{"name": "premium", "numbers": ["+49900"], "users": ["alice"]}]},
    ],
)
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Numbers.model_validate(wrong)


def test_class_names_its_users() -> None:
    premium = NumberClass(name="premium", numbers=("+49900",), users=("alice@example.test",))
    assert (premium.everyone, premium.users) == (False, ("alice@example.test",))
