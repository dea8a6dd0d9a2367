"""A list that comes takes the place of another only where nothing speaks against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge
from sipmesh.trust.revocation.crl import RevocationList, UnusableListError
from sipmesh.trust.revocation.freshness import SKEW, look_at_list

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FORGE = Forge(NOON)
ROOT = FORGE.root("Root")
ISSUING = FORGE.authority("Issuing", ROOT)
KNOWN = (ROOT.certificate, ISSUING.certificate)
HOUR = timedelta(hours=1)
HELD = RevocationList.load(FORGE.revocations(ISSUING, number=5))
LEAVES_ALONE = ((x509.IssuingDistributionPoint(None, None, True, False, None, False, False), True),)  # noqa: FBT003


def why_not(
    data: bytes, held: RevocationList | None = HELD, at: datetime = NOON, known: tuple[x509.Certificate, ...] = KNOWN
) -> str:
    """Give the reason for which a CRL is refused; "" if it is accepted."""
    try:
        look_at_list(RevocationList.load(data), held, known, at=at)
    except UnusableListError as wrong:
        return str(wrong)
    return ""


def test_newer_crl_of_the_same_ca_and_the_same_crl_are_accepted() -> None:
    assert why_not(FORGE.revocations(ISSUING, number=6)) == ""
    assert why_not(FORGE.revocations(ISSUING, number=5)) == ""


def test_first_crl_of_an_unknown_ca_is_accepted() -> None:
    """Its signature is checked when that CA shows itself."""
    assert why_not(FORGE.revocations(ISSUING), None) == ""
    assert why_not(FORGE.revocations(FORGE.root("Unheard of")), None) == ""


def test_crl_with_the_name_of_a_known_ca_must_be_signed_by_it() -> None:
    forged = FORGE.revocations(ISSUING, number=6, key=ROOT.key)
    assert "is not signed by CN=Issuing" in why_not(forged)
    assert "is not signed by CN=Issuing" in why_not(forged, None)


def test_older_crl_is_refused_even_if_the_current_crl_has_expired() -> None:
    older = FORGE.revocations(ISSUING, number=4, ends=timedelta(days=30))
    assert "older than the current list 5" in why_not(older)
    assert "older than the current list 5" in why_not(older, at=HELD.next_update + HOUR)
    begun_before = FORGE.revocations(ISSUING, number=9, begins=-HOUR)
    assert "older than the current list 5" in why_not(begun_before)


@pytest.mark.parametrize(("late", "taken"), [(timedelta(0), False), (timedelta(seconds=-1), True)])
def test_expired_crl_is_refused(late: timedelta, *, taken: bool) -> None:
    ended = FORGE.revocations(ISSUING, number=6, ends=HOUR)
    assert (why_not(ended, at=NOON + HOUR + late) == "") is taken


@pytest.mark.parametrize(("ahead", "taken"), [(SKEW, True), (SKEW + timedelta(seconds=1), False)])
def test_crl_may_begin_five_minutes_ahead_of_our_clock(ahead: timedelta, *, taken: bool) -> None:
    assert (why_not(FORGE.revocations(ISSUING, number=6, begins=ahead)) == "") is taken


def test_crl_of_another_ca_is_refused_while_the_current_is_valid() -> None:
    of_the_root = FORGE.revocations(ROOT, number=9, ends=timedelta(days=60))
    assert "is a list of CN=Root" in why_not(of_the_root)
    assert why_not(of_the_root, at=HELD.next_update + HOUR) == ""


def test_crl_with_another_scope_is_refused() -> None:
    """A CRL for leaves only does not cover CAs. It is valid, but replaces a CRL of another scope."""
    assert "has another scope" in why_not(FORGE.revocations(ISSUING, number=6, extensions=LEAVES_ALONE))
    delta = ((x509.DeltaCRLIndicator(5), True),)
    assert "has another scope" in why_not(FORGE.revocations(ISSUING, number=6, extensions=delta))


def test_malformed_crl_is_refused() -> None:
    assert "not a readable revocation list" in why_not(b"", None)
