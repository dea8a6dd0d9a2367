"""What one CRL says of another, and who has signed it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from trust.crls import CA, FORGE, load
from trust.network import NOON


def test_a_crl_that_another_key_signed_is_refused_where_the_issuer_is_known() -> None:
    forged = FORGE.revocations(CA, key=FORGE.organisation("Mallory").key)
    with pytest.raises(UnusableListError, match="not signed"):
        RevocationList.load(forged, [CA.certificate])
    assert RevocationList.load(FORGE.revocations(CA), [CA.certificate]).number == 1


def test_certificate_without_crl_sign_cannot_sign_a_crl() -> None:
    """RFC 5280 6.3.3 (f)."""
    leaf = FORGE.server(CA, "fe1.example.test")
    assert not load(issuer=leaf).signed_by(leaf.certificate)
    assert load().signed_by(CA.certificate)


def test_crl_is_older_only_if_neither_its_number_nor_its_time_is_later() -> None:
    """A CA that was restored signs a lower number later, and a CA whose clock was ahead signs an earlier time."""
    hour = timedelta(hours=1)
    first = load(number=5, begins=-hour)
    assert first.is_older_than(load(number=6))
    assert not first.is_older_than(first)
    assert not first.is_older_than(load(number=4))
    assert not load(number=5).is_older_than(load(number=6, begins=-hour))
    assert not first.is_older_than(load(number=6, issuer=FORGE.organisation("Other")))


@pytest.mark.parametrize(
    ("changes", "replaces"),
    [({}, True), ({"ends": -timedelta(seconds=1)}, False), ({"begins": timedelta(seconds=1)}, False)],
)
def test_crl_replaces_another_while_it_is_valid(changes: dict[str, Any], *, replaces: bool) -> None:
    earlier = load(number=5)
    assert earlier.signed_by(CA.certificate)
    assert load(number=6, **changes).stands_in_for(earlier, NOON) is replaces


def test_crl_of_another_key_does_not_replace_a_verified_crl() -> None:
    earlier = load(number=5)
    forged = load(number=6, key=FORGE.root("Mallory").key)
    assert forged.stands_in_for(earlier, NOON), "nobody has verified the earlier one yet"
    assert earlier.signed_by(CA.certificate)
    assert not forged.stands_in_for(earlier, NOON)


def test_crl_is_forged_if_no_ca_of_its_name_has_signed_it() -> None:
    forged = load(key=FORGE.root("Mallory").key)
    assert forged.is_forged([CA.certificate])
    assert not load().is_forged([CA.certificate])
    assert not forged.is_forged([FORGE.root("Other").certificate]), "its CA is not known yet"


@pytest.mark.parametrize(
    ("number", "changes", "repeats"),
    [(5, {}, True), (6, {}, True), (4, {}, False), (6, {"begins": timedelta(hours=-9)}, False)],
)
def test_crl_repeats_one_of_its_ca_that_is_not_newer(number: int, changes: dict[str, Any], *, repeats: bool) -> None:
    assert load(number=number, **changes).repeats(load(number=5)) is repeats
    assert not load(issuer=FORGE.root("Another CA"), number=9).repeats(load(number=5))


def test_crl_is_refuted_by_a_ca_of_its_name_that_has_not_signed_it() -> None:
    forged, rightful = load(key=FORGE.root("Mallory").key), load()
    assert not forged.is_refuted, "no CA is known yet"
    assert [crl.is_confirmed([CA.certificate]) for crl in (forged, rightful)] == [False, True]
    assert [crl.is_refuted for crl in (forged, rightful)] == [True, False]
    assert not load().is_confirmed([FORGE.root("Other").certificate])
