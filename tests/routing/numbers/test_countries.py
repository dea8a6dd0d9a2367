"""What whole numbers mean."""

from __future__ import annotations

import pytest

from sipmesh.routing.numbers.countries import country_of, meaning_of
from sipmesh.topology.document.parts.number_kind import NumberKind


@pytest.mark.parametrize(
    ("number", "country", "kind"),
    [
        ("+493012345678", "DE", None),
        ("+499001234567", "DE", NumberKind.PREMIUM),
        ("+491801234567", "DE", NumberKind.SHARED_COST),
        ("+19005551234", "US", NumberKind.PREMIUM),
        ("+12025550123", "US", None),
        ("+18765551234", "JM", None),
        ("+74951234567", "RU", None),
        ("+77172123456", "KZ", None),
        ("+442079460000", "GB", None),
        ("+441534123456", "JE", None),
        ("+881612345678", "001", None),
        ("+21012345678", "", None),
        ("+9991234567", "", None),
    ],
)
def test_number_has_the_country_and_the_kind_of_its_plan(number: str, country: str, kind: NumberKind | None) -> None:
    found = meaning_of(number)
    assert (found.country, found.kind) == (country, kind)


@pytest.mark.parametrize("more", ["1", "12", "1234"])
def test_further_digits_change_neither_country_nor_kind(more: str) -> None:
    """A network ignores them, and would carry the call to the premium number."""
    assert meaning_of(f"+499001234567{more}"[:16]) == meaning_of("+499001234567")
    assert meaning_of(f"+18765551234{more}") == meaning_of("+18765551234")


@pytest.mark.parametrize("text", ["", "+", "+0", "+1", "++49", "112", "alice", "+49" + "1" * 5000])
def test_text_that_is_no_whole_number_means_nothing(text: str) -> None:
    assert meaning_of(text[:40]).kind is None


def test_words_for_a_number_have_its_country_and_kind() -> None:
    assert str(meaning_of("+499001234567")) == "a premium number of DE"
    assert str(meaning_of("+9991234567")) == "a number of a country that is not known"
    assert str(meaning_of("+881612345678")) == "a number of a network of no country"


def test_each_network_of_no_country_counts_as_a_country() -> None:
    found = [country_of(number) for number in ("+493012345678", "+491705550100", "+881612345678", "+870773123456")]
    assert found == ["DE49", "DE49", "001881", "001870"]
