"""Silence is not a good status: what a list must be, and when it stops counting."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged
from sipmesh.trust.code import Code
from sipmesh.trust.revocation.crl import (
    RevocationList,
    RevocationLists,
    UnusableListError,
    check_path,
    check_revocation,
)
from sipmesh.trust.x509.der import elements
from trust.answers import tlv
from trust.network import NOON

NOW = timedelta(0)
WEEK = timedelta(days=7)
FORGE = Forge(NOON)
CA = FORGE.organisation("Example")
LEAF = FORGE.server(CA, "fe1.example.test", crl_points=("http://crl.test/1.crl",))
POINT_1, POINT_2 = "http://crl.test/1.crl", "http://crl.test/2.crl"


def load(*revoked: Forged | int, issuer: Forged = CA, **changes: Any) -> RevocationList:
    """A list as the forge makes it, read back."""
    return RevocationList.load(FORGE.revocations(issuer, revoked, **changes))


@pytest.mark.parametrize(
    ("after", "grace", "passed"),
    [
        (WEEK, NOW, True),
        (WEEK + timedelta(seconds=1), NOW, False),
        (WEEK + timedelta(hours=1), timedelta(hours=1), True),
        (WEEK + timedelta(hours=1, seconds=1), timedelta(hours=1), False),
    ],
)
def test_crl_expires_after_next_update_and_grace(
    after: timedelta,
    grace: timedelta,
    *,
    passed: bool,
) -> None:
    """The last good instant is next_update itself; one second later the peer is refused."""
    finding = check_revocation(0x600D, load(0xBAD), at=NOON + after, grace=grace)
    assert finding.passed is passed
    assert finding.code is (None if passed else Code.REVOCATION_UNKNOWN)


def test_a_serial_on_the_list_is_revoked_even_when_the_list_is_stale() -> None:
    held = load(0xBAD)
    assert check_revocation(0xBAD, held, at=NOON, grace=NOW).code is Code.REVOKED
    assert check_revocation(0xBAD, held, at=NOON + 2 * WEEK, grace=NOW).code is Code.REVOKED
    assert check_revocation(0x600D, held, at=NOON, grace=NOW).passed


def test_crl_with_a_future_this_update_is_refused() -> None:
    held = load(begins=timedelta(seconds=1))
    assert check_revocation(1, held, at=NOON, grace=NOW).code is Code.REVOCATION_UNKNOWN
    assert check_revocation(1, held, at=NOON + timedelta(seconds=1), grace=NOW).passed


def test_no_list_is_not_a_good_status() -> None:
    assert check_revocation(1, None, at=NOON, grace=NOW).code is Code.REVOCATION_UNKNOWN


def test_instant_without_timezone_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="timezone"):
        check_revocation(1, None, at=datetime(2026, 3, 1), grace=NOW)  # noqa: DTZ001 - the mistake


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"number": None}, "no number"),
        (
            {"extensions": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),)},
            "critical extension",
        ),
    ],
)
def test_crl_without_required_fields_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableListError, match=why):
        load(**changes)


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


def test_a_delta_adds_to_the_list_that_it_builds_on() -> None:
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
    part = _idp(only_contains_user_certs=True)
    assert stands(complete, delta(LEAF, extensions=(*DELTA, *part))) is None
    assert stands(load(number=3, extensions=part), delta(LEAF, extensions=(*DELTA, *part))) is Code.REVOKED


def test_a_list_may_be_signed_with_either_key_of_an_authority_on_the_path() -> None:
    """An authority that has changed its key, and says so by a certificate that it issued to itself."""
    old = FORGE.authority("Rolling CA", FORGE.root("Rolling root"), path_length=None)
    new = FORGE.authority("Rolling CA", old, path_length=None)
    leaf = FORGE.server(new, "fe1.example.test")
    path = (leaf.certificate, new.certificate, old.certificate)
    assert check_path(path, RevocationLists([load(issuer=old)]), at=NOON, grace=NOW).passed
    newer = load(issuer=new, number=2, begins=-timedelta(minutes=1))
    assert check_path(path, RevocationLists([load(issuer=old), newer]), at=NOON, grace=NOW).passed
    other = FORGE.authority("Rolling CA", FORGE.root("Other root"))
    assert not check_path(path, RevocationLists([load(issuer=other)]), at=NOON, grace=NOW).passed


def test_a_relative_distribution_point_is_completed_by_the_issuers_name() -> None:
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "part 1")])
    point = x509.DistributionPoint(None, relative, None, None)
    leaf = FORGE.server(CA, "fe1.example.test", extra=(x509.CRLDistributionPoints([point]),))
    whole = x509.DirectoryName(x509.Name([*CA.certificate.subject.rdns, relative]))
    for named in ({"relative_name": relative}, {"full_name": [whole]}):
        lists = RevocationLists([load(extensions=_idp(**named))])
        assert lists.find(leaf.certificate, CA.certificate) is not None
        assert lists.find(LEAF.certificate, CA.certificate) is None


def _idp(**changes: Any) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    asked: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return ((x509.IssuingDistributionPoint(**(asked | changes)), True),)


@pytest.mark.parametrize(
    "changes",
    [
        {"indirect_crl": True},
        {"only_contains_attribute_certs": True},
        {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})},
    ],
)
def test_indirect_and_partial_lists_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnusableListError):
        load(extensions=_idp(**changes))


@pytest.mark.parametrize(
    ("changes", "covers"),
    [
        ({"only_contains_user_certs": True}, True),
        ({"only_contains_ca_certs": True}, False),
        ({"full_name": [x509.UniformResourceIdentifier(POINT_1)]}, True),
        ({"full_name": [x509.UniformResourceIdentifier(POINT_2)]}, False),
    ],
)
def test_partitioned_crl_covers_its_distribution_point_only(
    changes: dict[str, Any],
    *,
    covers: bool,
) -> None:
    """A certificate that is missing from another part's list is not in the topologyby good."""
    lists = RevocationLists([load(extensions=_idp(**changes))])
    assert (lists.find(LEAF.certificate, CA.certificate) is not None) is covers


@pytest.mark.parametrize("data", [b"", b"-----BEGIN X509 CRL-----\n", b"\x30\x00", b"not a list"])
def test_unreadable_file_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(UnusableListError, match="not a readable"):
        RevocationList.load(data)


def test_a_list_of_another_version_is_refused() -> None:
    """Such a CRL has no extensions. The control differs in the version only."""
    crl = x509.load_pem_x509_crl(FORGE.revocations(CA))
    tbs, algorithm, signature = elements(crl.public_bytes(Encoding.DER))[0].inside()
    version, *rest = tbs.inside()
    for kept in ([version, *rest], rest):
        body = tlv(tbs.tag, *(tlv(*one) for one in kept))
        data = tlv(0x30, body, tlv(*algorithm), tlv(*signature))
        if kept[0] is version:
            assert RevocationList.load(data).number == 1
        else:
            with pytest.raises(UnusableListError, match="version 2"):
                RevocationList.load(data)


def test_der_and_pem_are_read_alike() -> None:
    pem = FORGE.revocations(CA, [0xBAD])
    der = x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)
    assert RevocationList.load(der).serials == RevocationList.load(pem).serials == {0xBAD}


def test_a_list_of_the_right_name_and_the_wrong_key_is_not_found() -> None:
    namesake = FORGE.organisation("Example")
    lists = RevocationLists([load(issuer=namesake)])
    assert lists.find(LEAF.certificate, CA.certificate) is None
    assert RevocationLists([load()]).find(LEAF.certificate, CA.certificate) is not None


def test_a_list_that_another_key_signed_is_refused_where_the_issuer_is_known() -> None:
    forged = FORGE.revocations(CA, key=FORGE.organisation("Mallory").key)
    with pytest.raises(UnusableListError, match="not signed"):
        RevocationList.load(forged, [CA.certificate])
    assert RevocationList.load(FORGE.revocations(CA), [CA.certificate]).number == 1


def test_certificate_without_crl_sign_cannot_sign_a_crl() -> None:
    """RFC 5280 6.3.3 (f)."""
    leaf = FORGE.server(CA, "fe1.example.test")
    assert not load(issuer=leaf).signed_by(leaf.certificate)
    assert load().signed_by(CA.certificate)


def test_newest_of_several_crls_is_used() -> None:
    old, new = load(number=1, begins=-WEEK), load(LEAF, number=2)
    assert RevocationLists([new, old]).find(LEAF.certificate, CA.certificate) is new
    assert RevocationLists([old, new]).find(LEAF.certificate, CA.certificate) is new


def test_unknown_critical_entry_extension_refuses_the_crl() -> None:
    """RFC 5280 5.3: such a list must not be used to determine the status of any certificate."""
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    for critical in (True, False):
        entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOON).add_extension(strange, critical)
        builder = x509.CertificateRevocationListBuilder().issuer_name(CA.certificate.subject).last_update(NOON)
        builder = builder.next_update(NOON + WEEK).add_extension(x509.CRLNumber(1), critical=False)
        data = builder.add_revoked_certificate(entry.build()).sign(CA.key, hashes.SHA256()).public_bytes(Encoding.DER)
        if critical:
            with pytest.raises(UnusableListError, match="entry"):
                RevocationList.load(data)
        else:
            assert RevocationList.load(data).serials == {7}


def _path() -> list[x509.Certificate]:
    assert CA.issuer is not None
    return [LEAF.certificate, CA.certificate, CA.issuer.certificate]


def test_whole_chain_needs_crls_and_a_revoked_ca_refuses_its_leaves() -> None:
    """T14: a revoked intermediate blocks a leaf although the peer sends the chain."""
    assert CA.issuer is not None
    root, issuing = load(issuer=CA.issuer), load()
    assert check_path(_path(), RevocationLists([root, issuing]), at=NOON, grace=NOW).passed
    assert check_path(_path(), RevocationLists([issuing]), at=NOON, grace=NOW).code is Code.REVOCATION_UNKNOWN
    assert check_path(_path(), RevocationLists([root]), at=NOON, grace=NOW).code is Code.REVOCATION_UNKNOWN
    revoking = load(CA, issuer=CA.issuer)
    assert check_path(_path(), RevocationLists([revoking, issuing]), at=NOON, grace=NOW).code is Code.REVOKED


def test_revoked_leaf_is_reported_before_a_missing_crl() -> None:
    finding = check_path(_path(), RevocationLists([load(LEAF)], faults=("root.crl: no such file",)), at=NOON, grace=NOW)
    assert finding.code is Code.REVOKED


def test_an_unusable_file_is_named_where_its_list_is_missing() -> None:
    finding = check_path(_path(), RevocationLists(faults=("root.crl: no such file",)), at=NOON, grace=NOW)
    assert finding.code is Code.REVOCATION_UNKNOWN
    assert "root.crl: no such file" in finding.saw


def test_lists_can_be_counted_and_show_themselves() -> None:
    lists = RevocationLists([load(1, 2)])
    assert len(lists) == len(list(lists)) == 1
    assert "2 revoked, until 2026-03-08 12:00" in repr(lists)


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


def test_crl_of_another_key_does_not_replace_one_that_was_verified() -> None:
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
