"""Silence is not a good status: what a path needs, and when a CRL expires."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from sipmesh.trust.code import Code
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.path_status import status_by_list
from trust.crls import CA, FORGE, LEAF, NOW, WEEK, load
from trust.network import NOON
from trust.path_checks import check_path


def code(serial: int, crl: RevocationList | None, after: timedelta = NOW, grace: timedelta = NOW) -> Code | None:
    return status_by_list(serial, crl, NOON + after, grace)[1]


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
    assert code(0x600D, load(0xBAD), after, grace) is (None if passed else Code.REVOCATION_UNKNOWN)


def test_a_serial_on_the_crl_is_revoked_even_when_the_crl_is_stale() -> None:
    held = load(0xBAD)
    assert code(0xBAD, held) is Code.REVOKED
    assert code(0xBAD, held, 2 * WEEK) is Code.REVOKED
    assert code(0x600D, held) is None


def test_crl_with_a_future_this_update_is_refused() -> None:
    held = load(begins=timedelta(seconds=1))
    assert code(1, held) is Code.REVOCATION_UNKNOWN
    assert code(1, held, timedelta(seconds=1)) is None


def test_without_a_crl_there_is_no_good_status() -> None:
    assert code(1, None) is Code.REVOCATION_UNKNOWN


def test_a_crl_may_be_signed_with_either_key_of_an_authority_on_the_path() -> None:
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


def test_an_unusable_file_is_named_where_its_crl_is_missing() -> None:
    finding = check_path(_path(), RevocationLists(faults=("root.crl: no such file",)), at=NOON, grace=NOW)
    assert finding.code is Code.REVOCATION_UNKNOWN
    assert "root.crl: no such file" in finding.saw
