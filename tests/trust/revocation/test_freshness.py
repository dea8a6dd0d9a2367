"""A list that comes takes the place of another only where nothing speaks against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge, Forged
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.freshness import SKEW, answer_ends, look_at_answer, look_at_list
from sipmesh.trust.revocation.ocsp import OcspAnswer, UnusableAnswerError
from trust.answers import Wish, single
from trust.network import NOON as ANSWERED_AT

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
    assert "older than the current CRL 5" in why_not(older)
    assert "older than the current CRL 5" in why_not(older, at=HELD.next_update + HOUR)
    begun_before = FORGE.revocations(ISSUING, number=9, begins=-HOUR)
    assert "older than the current CRL 5" in why_not(begun_before)


@pytest.mark.parametrize(("late", "taken"), [(timedelta(0), False), (timedelta(seconds=-1), True)])
def test_expired_crl_is_refused(late: timedelta, *, taken: bool) -> None:
    ended = FORGE.revocations(ISSUING, number=6, ends=HOUR)
    assert (why_not(ended, at=NOON + HOUR + late) == "") is taken


@pytest.mark.parametrize(("ahead", "taken"), [(SKEW, True), (SKEW + timedelta(seconds=1), False)])
def test_crl_may_begin_five_minutes_ahead_of_our_clock(ahead: timedelta, *, taken: bool) -> None:
    assert (why_not(FORGE.revocations(ISSUING, number=6, begins=ahead), None) == "") is taken


def test_crl_that_begins_later_waits_while_the_current_is_valid() -> None:
    """Until then no certificate is accepted by it, so it would close the links of its CA."""
    ahead = FORGE.revocations(ISSUING, number=6, begins=SKEW, ends=timedelta(days=30))
    assert "CRL 6 begins only at" in why_not(ahead)
    assert why_not(ahead, at=NOON + SKEW) == ""
    ended = RevocationList.load(FORGE.revocations(ISSUING, number=5, ends=-SKEW / 2))
    assert why_not(ahead, ended) == ""


def test_forged_crl_does_not_stay_after_its_ca_is_known() -> None:
    """It was accepted before. Its thisUpdate and number are higher than those of each valid CRL."""
    liar = FORGE.authority("Issuing", ROOT)
    held = RevocationList.load(FORGE.revocations(liar, number=2**100, begins=SKEW, ends=timedelta(days=9_000)))
    rightful = FORGE.revocations(ISSUING, number=6)
    assert "older than the current" in why_not(rightful, held, known=(ROOT.certificate,))
    assert why_not(rightful, held) == ""
    assert held.is_refuted


def test_confirmed_crl_replaces_that_of_an_unknown_ca() -> None:
    """It is not known whether the other CA exists. Two CRLs of unknown CAs do not replace each other."""
    liar = FORGE.root("Unheard of")
    held = RevocationList.load(FORGE.revocations(liar, number=9, ends=timedelta(days=9_000)))
    rightful = FORGE.revocations(ISSUING, number=6)
    assert "is a CRL of CN=Issuing" in why_not(rightful, held, known=(ROOT.certificate,))
    assert why_not(rightful, held) == ""
    assert "is a CRL of CN=Unheard of" in why_not(FORGE.revocations(liar), RevocationList.load(rightful))


def test_crl_of_another_ca_is_refused_while_the_current_is_valid() -> None:
    of_the_root = FORGE.revocations(ROOT, number=9, ends=timedelta(days=60))
    assert "is a CRL of CN=Root" in why_not(of_the_root)
    assert why_not(of_the_root, at=HELD.next_update + HOUR) == ""


def test_crl_that_another_source_has_keeps_out_none_and_replaces_none() -> None:
    """An attacker has answered with the CRL of the root in place of that of the issuing CA."""
    of_root = RevocationList.load(FORGE.revocations(ROOT, number=9, ends=timedelta(days=60)))

    def look(new: RevocationList, current: RevocationList, known: tuple[x509.Certificate, ...] = KNOWN) -> str:
        try:
            look_at_list(new, current, known, at=NOON, is_elsewhere=of_root.repeats)
        except UnusableListError as wrong:
            return str(wrong)
        return ""

    assert look(HELD, of_root) == ""
    assert "is a CRL of CN=Root" in look(of_root, HELD)
    assert "is a CRL of CN=Root" in look(of_root, HELD, (ROOT.certificate,))  # its CA is not known yet


def test_crl_with_another_scope_is_refused() -> None:
    """A CRL for leaves only does not cover CAs. It is valid, but replaces a CRL of another scope."""
    assert "has another scope" in why_not(FORGE.revocations(ISSUING, number=6, extensions=LEAVES_ALONE))
    delta = ((x509.DeltaCRLIndicator(5), True),)
    assert "has another scope" in why_not(FORGE.revocations(ISSUING, number=6, extensions=delta))


def test_malformed_crl_is_refused() -> None:
    assert "not a readable CRL" in why_not(b"", None)


LEAF, OTHER = FORGE.server(ISSUING, "fe1.example.test"), FORGE.server(ISSUING, "fe2.example.test")
ABOUT = (LEAF.certificate, ISSUING.certificate)


def ocsp(held: Forged = LEAF, signer: Forged = ISSUING, begins: timedelta = -HOUR, ends: timedelta = HOUR) -> bytes:
    """An OCSP response about *held*; the times are relative to the instant of the decision."""
    shift = NOON - ANSWERED_AT
    return Wish(signer, (single(held, begins=begins + shift, ends=ends + shift),), produced=shift).der()


def why_no_answer(data: bytes, held: OcspAnswer | None = None) -> str:
    """Give the reason for which an OCSP response is refused; "" if it is accepted."""
    try:
        look_at_answer(data, ABOUT, held, at=NOON)
    except UnusableAnswerError as wrong:
        return str(wrong)
    return ""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (ocsp(), ""),
        (ocsp(OTHER), "the OCSP response is for another certificate"),
        (ocsp(ends=-timedelta(seconds=1)), "an OCSP response expired at 2026-11-24 11:59:59Z"),
        (ocsp(ends=timedelta(0)), ""),
        (ocsp(begins=SKEW), ""),
        (ocsp(begins=SKEW + timedelta(seconds=1)), "the thisUpdate of an OCSP response is 2026-11-24 12:05:01Z"),
        (ocsp(signer=FORGE.root("Mallory")), "an OCSP response that neither the issuer nor its delegate has signed"),
    ],
    ids=["valid", "other", "expired", "last second", "clock ahead", "early", "other signer"],
)
def test_ocsp_response_is_accepted_only_from_its_ca_and_in_its_time(data: bytes, why: str) -> None:
    assert why_no_answer(data).partition(";")[0] == why


def test_older_ocsp_response_does_not_replace_a_newer_one() -> None:
    newer = look_at_answer(ocsp(begins=-HOUR), ABOUT, None, at=NOON)
    assert "is older than the current response" in why_no_answer(ocsp(begins=-2 * HOUR), newer)
    assert why_no_answer(ocsp(begins=-HOUR), newer) == ""
    assert why_no_answer(ocsp(begins=-HOUR / 2), newer) == ""


def test_end_of_an_ocsp_response_is_that_of_the_certificate_asked_for() -> None:
    held = look_at_answer(ocsp(), ABOUT, None, at=NOON)
    assert answer_ends(held, ABOUT) == NOON + HOUR
    assert answer_ends(held, (OTHER.certificate, ISSUING.certificate)) is None
