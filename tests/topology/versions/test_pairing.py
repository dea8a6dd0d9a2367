"""Partners are matched by their first domain, or else by any domain that both topologies have."""

from __future__ import annotations

from sipmesh.topology.versions.pairing import pairings
from topology.changed_text import loaded
from topology.world import Place

OTHER = "domains: [other.test, second.test]"


def paired(place: Place, domains: str) -> list[tuple[str | None, str | None]]:
    """The names of each pair, if the second partner has these *domains*."""
    found = pairings(loaded(place), loaded(place, (OTHER, f"domains: [{domains}]")))
    return [(pair.old[0].name if pair.old else None, pair.new[0].name if pair.new else None) for pair in found]


def test_partner_whose_name_stays_is_the_same_partner(place: Place) -> None:
    assert ("other.test", "other.test") in paired(place, "other.test, third.test")


def test_partner_with_another_name_and_a_common_domain_is_the_same_partner(place: Place) -> None:
    assert ("other.test", "second.test") in paired(place, "second.test, third.test")


def test_partner_without_a_common_domain_is_another_partner(place: Place) -> None:
    found = paired(place, "third.test")
    assert ("other.test", None) in found
    assert (None, "third.test") in found
