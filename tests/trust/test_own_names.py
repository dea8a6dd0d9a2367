"""The names of an application."""

from __future__ import annotations

import pytest

from sipmesh.trust.own_names import OwnNames

OWN = OwnNames(frozenset({"sip:echo@example.test"}), ("+49301", "+4940"), frozenset({"example.test"}))


@pytest.mark.parametrize(
    ("aor", "number", "has"),
    [
        ("sip:echo@example.test", "", True),
        ("sip:Echo@example.test", "", False),
        ("sip:echo@other.test", "", False),
        ("sip:+493012@example.test", "+493012", True),
        ("sip:+4940@example.test", "+4940123", True),
        ("sip:+4930@example.test", "+4930", False),
        ("sip:+493012@example.test", "", False),
    ],
)
def test_addresses_and_numbers_are_names(aor: str, number: str, *, has: bool) -> None:
    assert OWN.has(aor, number) == has


def test_without_numbers_no_number_is_a_name() -> None:
    assert not OwnNames(frozenset(), (), frozenset()).has("sip:+493012@example.test", "+493012")
