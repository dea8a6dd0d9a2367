"""An OCSP response must be signed by an allowed responder, for this certificate, and valid now. Each test has a control."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.demo.forge import Forge, Forged, KeyKind
from sipmesh.demo.forge import Wish as Asked
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.finding import Finding
from sipmesh.trust.judgement.judge import Judge
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.ocsp import (
    LARGEST,
    MOST_CERTIFICATES,
    MOST_SINGLES,
    OcspAnswer,
    OcspAnswers,
    Terms,
    UnusableAnswerError,
)
from sipmesh.trust.revocation.revocation_source import RevocationSource
from trust.answers import GOOD, UNKNOWN, Wish, answer, extension, revoked, single
from trust.network import FE2, NOON, Network, verdict_on
from trust.path_checks import check_path

FORGE = Forge(NOON)
ROOT = FORGE.root("Example root")
CA = FORGE.authority("Example issuing CA", ROOT)
LEAF = FORGE.server(CA, "fe1.example.test")
OTHER = FORGE.server(CA, "fe2.example.test")
OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING
NO_TIME, MINUTE, HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def responder(issuer: Forged = CA, *, kind: KeyKind = KeyKind.EC_P256, nocheck: bool = True, **changes: Any) -> Forged:
    """The certificate of a delegate, with a key of its own."""
    extra = (x509.OCSPNoCheck(),) if nocheck else ()
    return FORGE.forge(Asked("a responder", usages=(OCSP_SIGNING,), extra=extra), issuer, reuse=kind.make(), **changes)


def ask(
    *answers: OcspAnswer,
    after: timedelta = NO_TIME,
    grace: timedelta = NO_TIME,
    lists: RevocationLists | None = None,
    source: RevocationSource = RevocationSource.ANSWERS,
    terms: Terms | None = None,
) -> Finding:
    """Give the status of the leaf by these responses. The leaf's issuer is the end of the path."""
    held = OcspAnswers(answers, terms=terms) if terms else OcspAnswers(answers)
    path = (LEAF.certificate, CA.certificate)
    return check_path(path, lists or RevocationLists(), held, at=NOON + after, grace=grace, source=source)


def test_a_good_answer_of_the_issuer_itself_passes() -> None:
    finding = ask(answer(CA, single(LEAF)))
    assert finding.passed
    assert "valid until 2026-03-01 13:00:00Z" in finding.saw


def test_no_answer_is_not_a_good_status() -> None:
    assert ask().code is Code.REVOCATION_UNKNOWN


@pytest.mark.parametrize(
    ("status", "code"), [(GOOD, None), (UNKNOWN, Code.REVOCATION_UNKNOWN), (revoked(), Code.REVOKED)]
)
def test_each_status_gives_its_code(status: bytes, code: Code | None) -> None:
    assert ask(answer(CA, single(LEAF, status))).code is code


@pytest.mark.parametrize("by_name", [False, True])
def test_a_responder_is_known_by_its_key_or_by_its_name(*, by_name: bool) -> None:
    delegate = responder()
    assert ask(answer(CA, single(LEAF), by_name=by_name)).passed
    assert ask(answer(delegate, single(LEAF), certificates=(delegate,), by_name=by_name)).passed
    assert not ask(answer(CA, single(LEAF), by_name=by_name, named=delegate)).passed
    assert not ask(answer(delegate, single(LEAF), certificates=(delegate,), by_name=by_name, named=OTHER)).passed


@pytest.mark.parametrize(
    "delegate",
    [
        responder(ROOT),
        responder(FORGE.organisation("Stranger")),
        responder(usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        responder(usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
        responder(usages=()),
        responder(digital_signature=False),
        responder(critical=(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99.7"), b"\x05\x00"),)),
        responder(kind=KeyKind.RSA_1024),
        FORGE.server(OTHER, "signed by a leaf", usages=(OCSP_SIGNING,)),
    ],
    ids=[
        "of the root",
        "of a stranger",
        "a server",
        "any usage",
        "no usage",
        "may not sign",
        "critical",
        "weak",
        "leaf's",
    ],
)
def test_only_a_delegate_of_the_issuer_may_sign_a_response(delegate: Forged) -> None:
    """RFC 6960 4.2.2.2; the control is `test_a_responder_is_known_by_its_key_or_by_its_name`."""
    finding = ask(answer(delegate, single(LEAF), certificates=(delegate,)))
    assert finding.code is Code.REVOCATION_UNKNOWN
    assert "OCSP responder" in finding.saw


def test_a_delegate_answers_only_while_its_own_certificate_is_valid() -> None:
    delegate = responder(begins=-HOUR, ends=timedelta(minutes=30))
    held = answer(delegate, single(LEAF), certificates=(delegate,))
    assert ask(held, after=timedelta(minutes=30)).passed
    assert ask(held, after=timedelta(minutes=31)).code is Code.REVOCATION_UNKNOWN


def test_delegate_without_nocheck_needs_a_good_crl_status() -> None:
    """RFC 6960 4.2.2.2.1 leaves it to us; what cannot be asked is refused."""
    delegate = responder(nocheck=False)
    held = answer(delegate, single(LEAF), certificates=(delegate,))
    clean, bad = (lists(CA, gone) for gone in ((), (delegate,)))
    assert ask(held).code is Code.REVOCATION_UNKNOWN
    assert ask(held, lists=clean, source=RevocationSource.BOTH).passed
    assert ask(held, lists=bad, source=RevocationSource.BOTH).code is Code.REVOCATION_UNKNOWN
    assert ask(held, terms=Terms(unlisted=True)).passed


def lists(issuer: Forged, gone: tuple[Forged, ...] = (), **changes: Any) -> RevocationLists:
    """The list of *issuer*, with what is *gone* on it."""
    return RevocationLists([RevocationList.load(FORGE.revocations(issuer, gone, **changes))])


def test_invalid_signature_is_refused() -> None:
    der = Wish(CA, (single(LEAF),)).der()
    assert ask(OcspAnswer.load(der)).passed
    assert ask(OcspAnswer.load(der[:-1] + bytes((der[-1] ^ 1,)))).code is Code.REVOCATION_UNKNOWN


def test_a_signature_over_sha1_is_refused() -> None:
    """A collision would make a good answer of a bad one; public CAs had to stop signing them so by June 2022."""
    held = answer(CA, single(LEAF), hashed=hashes.SHA1())  # noqa: S303 - the mistake
    assert "sha1" in ask(held).saw
    assert ask(held).code is Code.REVOCATION_UNKNOWN
    assert ask(held, terms=Terms(weak=())).passed


def test_certid_may_use_any_hash() -> None:
    for hashed in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384()):  # noqa: S303 - it only finds the certificate
        assert ask(answer(CA, single(LEAF, hashed=hashed))).passed


def test_response_for_another_certificate_is_ignored() -> None:
    namesake = FORGE.authority("Example issuing CA", ROOT)  # the same name, another key
    renamed = FORGE.authority("Another CA", ROOT, reuse=CA.key)  # the same key, another name
    for about in (
        single(OTHER),
        single(LEAF, issuer=namesake),
        single(FORGE.server(renamed, "x", serial=LEAF.certificate.serial_number)),
    ):
        assert "no OCSP response" in ask(answer(CA, about)).saw


def test_rsa_responders_are_verified_too() -> None:
    delegate = responder(kind=KeyKind.RSA_2048)
    assert ask(answer(delegate, single(LEAF), certificates=(delegate,))).passed


@pytest.mark.parametrize(
    ("after", "grace", "passed"),
    [(HOUR, NO_TIME, True), (HOUR + SECOND, NO_TIME, False), (2 * HOUR, HOUR, True), (2 * HOUR + SECOND, HOUR, False)],
)
def test_response_expires_after_next_update_and_grace(after: timedelta, grace: timedelta, *, passed: bool) -> None:
    assert ask(answer(CA, single(LEAF)), after=after, grace=grace).passed is passed


@pytest.mark.parametrize(("ahead", "passed"), [(5 * MINUTE, True), (5 * MINUTE + SECOND, False)])
def test_a_responders_clock_may_be_a_little_ahead_of_ours(ahead: timedelta, *, passed: bool) -> None:
    assert ask(answer(CA, single(LEAF, begins=ahead))).passed is passed
    assert ask(answer(CA, single(LEAF), produced=ahead)).passed is passed


@pytest.mark.parametrize(("after", "passed"), [(DAY - HOUR, True), (DAY - HOUR + SECOND, False)])
def test_response_without_next_update_is_valid_for_a_day(after: timedelta, *, passed: bool) -> None:
    assert ask(answer(CA, single(LEAF, ends=None)), after=after).passed is passed


def test_response_that_ends_before_it_begins_is_refused() -> None:
    held = answer(CA, single(LEAF, begins=MINUTE, ends=-MINUTE))
    assert not ask(held, after=-MINUTE).passed
    assert not ask(held, after=MINUTE, grace=HOUR).passed


@pytest.mark.parametrize(("produced", "passed"), [(timedelta(minutes=-5), True), (timedelta(minutes=-6), False)])
def test_response_from_before_the_certificate_is_refused(produced: timedelta, *, passed: bool) -> None:
    assert ask(answer(CA, single(LEAF), produced=produced)).passed is passed


@pytest.mark.parametrize(
    "statuses", [(GOOD, revoked()), (revoked(), GOOD), (UNKNOWN, revoked()), (GOOD, UNKNOWN, revoked())]
)
def test_of_several_statuses_of_one_certificate_the_worst_counts(statuses: tuple[bytes, ...]) -> None:
    """`openssl ocsp` takes the first."""
    assert ask(answer(CA, *(single(LEAF, status) for status in statuses))).code is Code.REVOKED
    assert ask(*(answer(CA, single(LEAF, status)) for status in statuses)).code is Code.REVOKED


@pytest.mark.parametrize("statuses", [(GOOD, UNKNOWN), (UNKNOWN, GOOD)])
def test_unknown_is_worse_than_good(statuses: tuple[bytes, ...]) -> None:
    assert ask(answer(CA, *(single(LEAF, status) for status in statuses))).code is Code.REVOCATION_UNKNOWN


def test_statuses_of_others_beside_ours_do_not_matter() -> None:
    assert ask(answer(CA, single(OTHER, revoked()), single(LEAF))).passed
    assert ask(answer(CA, single(OTHER), single(LEAF, revoked()))).code is Code.REVOKED


def test_revoked_status_counts_in_an_expired_response() -> None:
    assert ask(answer(CA, single(LEAF, revoked())), after=timedelta(days=9)).code is Code.REVOKED


def test_expired_response_beside_a_valid_one_is_ignored() -> None:
    old = answer(CA, single(LEAF, ends=-MINUTE))
    assert ask(old).code is Code.REVOCATION_UNKNOWN
    assert ask(old, answer(CA, single(LEAF))).passed


def test_response_of_an_unknown_signer_is_ignored() -> None:
    stranger = FORGE.organisation("Stranger")
    false = answer(stranger, single(LEAF, revoked()), named=CA)
    assert ask(false).code is Code.REVOCATION_UNKNOWN
    assert ask(false, answer(CA, single(LEAF))).passed


@pytest.mark.parametrize("place", ["extensions", "extra"])
def test_an_unknown_extension_matters_only_if_it_is_critical(place: str) -> None:
    """In the answer as in one of several statuses, where the parser does not show it."""
    for critical in (False, True):
        told = extension(critical=critical)
        singles = (single(OTHER, extra=told if place == "extra" else b""), single(LEAF))
        der = Wish(CA, singles, extensions=told if place == "extensions" else b"").der()
        if critical:
            with pytest.raises(UnusableAnswerError, match="critical"):
                OcspAnswer.load(der)
        else:
            assert ask(OcspAnswer.load(der)).passed


@pytest.mark.parametrize(("status", "word"), [(1, "malformed"), (2, "internal"), (3, "try"), (5, "sig"), (6, "unauth")])
def test_error_status_of_a_responder_is_refused(status: int, word: str) -> None:
    with pytest.raises(UnusableAnswerError, match=word):
        OcspAnswer.load(Wish(CA, (single(LEAF),), status=status).der())


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"not an answer", Wish(CA, (single(LEAF),)).der()[:-1]])
def test_malformed_response_is_refused(der: bytes) -> None:
    with pytest.raises(UnusableAnswerError):
        OcspAnswer.load(der)


@given(place=st.integers(0, 400), octet=st.integers(1, 255))
def test_every_changed_signed_octet_is_detected(place: int, octet: int) -> None:
    """No other error is raised."""
    der = bytearray(GENUINE)
    der[place % len(der)] ^= octet
    try:
        held = OcspAnswer.load(bytes(der))
    except UnusableAnswerError:
        return
    assert not ask(held).passed or held.response.tbs_response_bytes == SIGNED


GENUINE = Wish(CA, (single(OTHER), single(LEAF)), extensions=extension(critical=False)).der()
SIGNED = OcspAnswer.load(GENUINE).response.tbs_response_bytes


def test_every_size_has_its_limit() -> None:
    at_limit = answer(CA, *[single(LEAF)] * MOST_SINGLES)
    assert ask(at_limit).passed
    assert ask(answer(CA, single(LEAF), certificates=(CA,) * MOST_CERTIFICATES)).passed
    for der in (
        Wish(CA, (single(LEAF),) * (MOST_SINGLES + 1)).der(),
        Wish(CA, (single(LEAF),), certificates=(CA,) * (MOST_CERTIFICATES + 1)).der(),
        Wish(CA, (single(LEAF),)).der() + bytes(LARGEST),
    ):
        with pytest.raises(UnusableAnswerError):
            OcspAnswer.load(der)


def test_response_without_a_status_is_ignored() -> None:
    assert ask(answer(CA)).code is Code.REVOCATION_UNKNOWN


def test_signer_is_computed_once_for_each_issuer() -> None:
    held = answer(CA, single(LEAF))
    assert held.signer(CA.certificate) is held.signer(CA.certificate)
    assert held.signer(ROOT.certificate).fault
    assert not held.signer(CA.certificate).fault


# What each source asks for: (list, answer) -> outcome


def outcome(source: RevocationSource, gone: tuple[Forged, ...] | None, status: bytes | None) -> Code | None:
    held = None if gone is None else lists(CA, gone)
    answers = () if status is None else (answer(CA, single(LEAF, status)),)
    return ask(*answers, lists=held, source=source).code


UNKNOWN_CODE = Code.REVOCATION_UNKNOWN


@pytest.mark.parametrize(
    ("source", "gone", "status", "code"),
    [
        (RevocationSource.LISTS, (), None, None),
        (RevocationSource.LISTS, (), GOOD, None),
        (RevocationSource.LISTS, (), UNKNOWN, None),
        (RevocationSource.LISTS, None, GOOD, UNKNOWN_CODE),
        (RevocationSource.LISTS, None, None, UNKNOWN_CODE),
        (RevocationSource.LISTS, (LEAF,), GOOD, Code.REVOKED),
        (RevocationSource.LISTS, (), revoked(), Code.REVOKED),
        (RevocationSource.ANSWERS, None, GOOD, None),
        (RevocationSource.ANSWERS, None, UNKNOWN, UNKNOWN_CODE),
        (RevocationSource.ANSWERS, None, None, UNKNOWN_CODE),
        (RevocationSource.ANSWERS, None, revoked(), Code.REVOKED),
        (RevocationSource.ANSWERS, (), None, None),
        (RevocationSource.ANSWERS, (LEAF,), GOOD, Code.REVOKED),
        (RevocationSource.ANSWERS, (), revoked(), Code.REVOKED),
        (RevocationSource.BOTH, (), GOOD, None),
        (RevocationSource.BOTH, (), None, UNKNOWN_CODE),
        (RevocationSource.BOTH, None, GOOD, UNKNOWN_CODE),
        (RevocationSource.BOTH, None, None, UNKNOWN_CODE),
        (RevocationSource.BOTH, (), UNKNOWN, UNKNOWN_CODE),
        (RevocationSource.BOTH, (LEAF,), GOOD, Code.REVOKED),
        (RevocationSource.BOTH, (), revoked(), Code.REVOKED),
    ],
)
def test_each_source_fails_closed_and_accepts_a_good_certificate(
    source: RevocationSource, gone: tuple[Forged, ...] | None, status: bytes | None, code: Code | None
) -> None:
    assert outcome(source, gone, status) is code


def test_expired_crl_is_not_replaced_by_a_response() -> None:
    stale = lists(CA, ends=timedelta(seconds=-1))
    assert ask(answer(CA, single(LEAF)), lists=stale, source=RevocationSource.ANSWERS).code is UNKNOWN_CODE


def test_revoked_response_comes_before_a_missing_crl() -> None:
    path = (LEAF.certificate, CA.certificate, ROOT.certificate)
    held = OcspAnswers([answer(CA, single(LEAF, revoked()))])
    for source in RevocationSource:
        found = check_path(path, RevocationLists(), held, at=NOON, grace=NO_TIME, source=source)
        assert found.code is Code.REVOKED


def test_unusable_responses_are_named_if_a_status_is_missing() -> None:
    held = OcspAnswers(faults=("ocsp: the OCSP responder answers unauthorized",))
    found = check_path((LEAF.certificate, CA.certificate), RevocationLists(), held, at=NOON, grace=NO_TIME)
    assert "the OCSP responder answers unauthorized" in found.saw


# On links


def authority(net: Network, *answers: OcspAnswer, source: RevocationSource = RevocationSource.ANSWERS) -> Authority:
    """Example's own, without lists."""
    held = net.fe2.authority
    return Authority(held.name, held.anchors, RevocationLists(), OcspAnswers(answers), source)


def test_link_uses_ocsp_if_its_authority_requires_it(net: Network) -> None:
    shown = net.fe2_certificate()
    assert net.ours.issuer is not None
    upper, lower = answer(net.ours.issuer, single(net.ours)), answer(net.ours, single(shown))
    for held, code in (((upper, lower), Code.ACCEPTED), ((lower,), UNKNOWN_CODE), ((upper,), UNKNOWN_CODE)):
        peers = net.swapped(net.fe2, authority=authority(net, *held))
        assert verdict_on(shown, net.policy(peers=peers)).code is code
        assert verdict_on(shown, net.opening(peers[FE2][0], FE2, peers=peers)).code is code


def test_cached_verdict_checks_the_responses_again(net: Network) -> None:
    shown = net.fe2_certificate()
    assert net.ours.issuer is not None
    held = (answer(net.ours.issuer, single(net.ours)), answer(net.ours, single(shown)))
    policy = Judge(net.policy(peers=net.swapped(net.fe2, authority=authority(net, *held))))
    assert verdict_on(shown, policy).accepted
    assert len(policy.cache) == 1
    assert verdict_on(shown, policy, after=HOUR).accepted
    assert verdict_on(shown, policy, after=HOUR + SECOND).code is UNKNOWN_CODE


def test_reprs_say_what_is_held() -> None:
    held = answer(CA, single(LEAF))
    assert f"{LEAF.certificate.serial_number:x}" in repr(held)
    assert repr(OcspAnswers([held])).startswith("<OcspAnswers [<OcspAnswer for ")
    assert list(OcspAnswers([held])) == [held]
