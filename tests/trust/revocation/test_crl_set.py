"""The newest CRL of an issuer, with its delta."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forged
from sipmesh.trust.code import Code
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from trust.crls import CA, FORGE, LEAF, NOW, WEEK, distribution_point, load
from trust.network import NOON
from trust.path_checks import check_path

DELTA = ((x509.DeltaCRLIndicator(3), True),)


def delta(*revoked: Forged, restored: Forged | None = None, number: int = 4, **changes: Any) -> RevocationList:
    """What has changed since list 3."""
    entries = [(held, None) for held in revoked] + [
        (held, x509.ReasonFlags.remove_from_crl) for held in (restored,) if held
    ]
    builder = x509.CertificateRevocationListBuilder().issuer_name(CA.certificate.subject).last_update(NOON)
    builder = builder.next_update(NOON + changes.pop("ends", WEEK)).add_extension(
        x509.CRLNumber(number), critical=False
    )
    for extension, critical in changes.pop("extensions", DELTA):
        builder = builder.add_extension(extension, critical)
    for held, reason in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(held.certificate.serial_number).revocation_date(NOON)
        entry = entry.add_extension(x509.CRLReason(reason), critical=False) if reason else entry
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(changes.pop("key", CA.key), hashes.SHA256())
    return RevocationList.load(signed.public_bytes(Encoding.DER))


def stands(*lists: RevocationList, after: timedelta = NOW) -> Code | None:
    """Give the status of the leaf by these CRLs of its issuer."""
    path = (LEAF.certificate, CA.certificate)
    return check_path(path, RevocationLists(lists), at=NOON + after, grace=NOW).code


def test_a_delta_adds_to_the_crl_that_it_builds_on() -> None:
    """A certification authority of Windows tells of a revocation by a delta, a week before its next complete list."""
    complete = load(number=3)
    assert stands(complete) is None
    assert stands(complete, delta()) is None
    assert stands(complete, delta(LEAF)) is Code.REVOKED
    assert stands(delta(LEAF), complete) is Code.REVOKED


def test_delta_removes_a_serial_that_was_on_hold() -> None:
    complete = load(LEAF, number=3)
    assert stands(complete) is Code.REVOKED
    assert stands(complete, delta(restored=LEAF)) is None


def test_complete_crl_removes_no_serial() -> None:
    """RFC 5280 5.3.1: removeFromCRL "may only appear in delta CRLs"."""
    assert stands(delta(restored=LEAF, extensions=())) is Code.REVOKED


def test_a_serial_that_a_delta_both_revokes_and_restores_is_revoked() -> None:
    assert stands(load(number=3), delta(LEAF, restored=LEAF)) is Code.REVOKED


def test_delta_without_complete_crl_is_not_used() -> None:
    assert stands(delta()) is Code.REVOCATION_UNKNOWN
    assert repr(delta()).startswith("<delta on 3: 4 of CN=Example issuing CA")


def test_delta_with_a_later_base_revokes_but_removes_nothing() -> None:
    assert stands(load(number=2), delta(LEAF)) is Code.REVOKED
    assert stands(load(LEAF, number=2), delta(restored=LEAF)) is Code.REVOKED


def test_delta_older_than_the_complete_crl_is_ignored() -> None:
    assert stands(load(number=5), delta(LEAF)) is None


def test_expired_delta_leaves_the_status_unknown() -> None:
    """R12: something newer was published that we do not have."""
    lists = (load(number=3), delta(ends=timedelta(hours=1)))
    assert stands(*lists, after=timedelta(hours=1)) is None
    assert stands(*lists, after=timedelta(hours=2)) is Code.REVOCATION_UNKNOWN


def test_delta_of_another_key_or_scope_is_ignored() -> None:
    complete = load(number=3)
    assert stands(complete, delta(LEAF, key=FORGE.organisation("Mallory").key)) is None
    part = distribution_point(only_contains_user_certs=True)
    assert stands(complete, delta(LEAF, extensions=(*DELTA, *part))) is None
    assert stands(load(number=3, extensions=part), delta(LEAF, extensions=(*DELTA, *part))) is Code.REVOKED


def test_a_crl_of_the_right_name_and_the_wrong_key_is_not_found() -> None:
    namesake = FORGE.organisation("Example")
    lists = RevocationLists([load(issuer=namesake)])
    assert lists.find(LEAF.certificate, CA.certificate) is None
    assert RevocationLists([load()]).find(LEAF.certificate, CA.certificate) is not None


def test_newest_of_several_crls_is_used() -> None:
    old, new = load(number=1, begins=-WEEK), load(LEAF, number=2)
    assert RevocationLists([new, old]).find(LEAF.certificate, CA.certificate) is new
    assert RevocationLists([old, new]).find(LEAF.certificate, CA.certificate) is new


def test_crls_can_be_counted_and_have_a_repr() -> None:
    lists = RevocationLists([load(1, 2)])
    assert len(lists) == len(list(lists)) == 1
    assert "2 revoked, until 2026-03-08 12:00" in repr(lists)


def test_serials_are_revoked_before_the_next_crl_has_them() -> None:
    """Management pushes a revocation before the CRL arrives."""
    other = FORGE.organisation("Other")
    lists = RevocationLists([load(0xBAD), load(issuer=other)], ("a fault",))
    named = [(CA.certificate.subject.public_bytes(), 0x600D), (b"nobody", 1)]
    more = lists.revoking(named)
    [ours], [theirs] = (more.of(one.certificate.subject.public_bytes()) for one in (CA, other))
    assert ours.serials == {0xBAD, 0x600D}
    assert theirs.serials == frozenset()
    assert more.faults == ("a fault",)
    assert len(lists.of(CA.certificate.subject.public_bytes())[0].serials) == 1
