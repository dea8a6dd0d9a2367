"""The effect of new CRLs: a few serial numbers, or another change, after which all links are judged again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from sipmesh.trust.judgement.crl_diff import newly_revoked
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.revocation_source import RevocationSource
from trust.network import NOON, Network, verdict_on

if TYPE_CHECKING:
    from sipmesh.demo.forge import Forged
    from sipmesh.trust.authority import Authority

LEAF, OTHER = 0xBAD, 0x600D


def lists(net: Network, *revoked: Forged | int, **changes: Any) -> RevocationLists:
    """The CRLs of the enterprise CA; that of the issuing CA is new."""
    kept = [held for held in net.fe2.authority.lists if held.issuer_der != issuer_of(net)]
    return RevocationLists([*kept, RevocationList.load(net.forge.revocations(net.ours, revoked, **changes))])


def issuer_of(net: Network) -> bytes:
    return net.ours.certificate.subject.public_bytes()


def relied_on(net: Network) -> Authority:
    """The enterprise's authority, after a link has relied on its lists; it may be given others, and `net` keeps its own."""
    assert verdict_on(net.fe2_certificate(), net.policy()).accepted
    return replace(net.fe2.authority)


def test_new_serials_are_given_with_their_issuer(net: Network) -> None:
    authority = relied_on(net)
    assert newly_revoked(authority, lists(net, LEAF, number=2), NOON) == frozenset({(issuer_of(net), LEAF)})
    authority.use_crls(lists(net, LEAF, number=2))
    assert newly_revoked(authority, lists(net, LEAF, OTHER, number=3), NOON) == frozenset({(issuer_of(net), OTHER)})


def test_crl_without_new_serials_affects_no_certificate(net: Network) -> None:
    """Most new lists only replace a CRL that is about to expire."""
    assert newly_revoked(relied_on(net), lists(net, number=2), NOON) == frozenset()
    assert newly_revoked(relied_on(net), net.fe2.authority.lists, NOON) == frozenset()


def test_serial_counts_for_its_issuer_only(net: Network) -> None:
    """The root's list names its own certificates, and ignores the serials of the issuing CA."""
    assert net.ours.issuer is not None
    root = RevocationList.load(net.forge.revocations(net.ours.issuer, [LEAF], number=2))
    kept = [
        held
        for held in net.fe2.authority.lists
        if held.issuer_der != net.ours.issuer.certificate.subject.public_bytes()
    ]
    named = newly_revoked(relied_on(net), RevocationLists([root, *kept]), NOON)
    assert named == frozenset({(net.ours.issuer.certificate.subject.public_bytes(), LEAF)})


@pytest.mark.parametrize(
    "changes",
    [
        {"ends": timedelta(minutes=-1)},
        {"begins": timedelta(minutes=1)},
        {"extensions": ((x509.DeltaCRLIndicator(1), True),)},
        {"extensions": ((x509.IssuingDistributionPoint(None, None, True, False, None, False, False), True),)},  # noqa: FBT003
    ],
    ids=["ended", "not-begun", "delta", "other-scope"],
)
def test_other_changes_than_serials_affect_all_certificates(net: Network, changes: dict[str, Any]) -> None:
    assert newly_revoked(relied_on(net), lists(net, number=2, **changes), NOON) is None


def test_crl_with_another_key_affects_all_certificates(net: Network) -> None:
    """A certificate that the old key's CRL confirms is not confirmed by this CRL."""
    forged = lists(net, number=2, key=net.stranger.key)
    assert newly_revoked(relied_on(net), forged, NOON) is None


def test_removed_crl_affects_all_certificates(net: Network) -> None:
    kept = [held for held in net.fe2.authority.lists if held.issuer_der != issuer_of(net)]
    assert newly_revoked(relied_on(net), RevocationLists(kept), NOON) is None


def test_second_crl_of_one_issuer_affects_all_certificates(net: Network) -> None:
    """The certificate decides which of the two CRLs is used."""
    both = RevocationLists([*net.fe2.authority.lists, *lists(net, number=2)])
    assert newly_revoked(relied_on(net), both, NOON) is None


def test_first_crl_of_an_issuer_gives_all_its_serials(net: Network) -> None:
    kept = [held for held in net.fe2.authority.lists if held.issuer_der != issuer_of(net)]
    authority = replace(net.fe2.authority, lists=RevocationLists(kept))
    assert newly_revoked(authority, lists(net, LEAF), NOON) == frozenset({(issuer_of(net), LEAF)})


@pytest.mark.parametrize("source", [RevocationSource.ANSWERS, RevocationSource.BOTH])
def test_ocsp_in_use_affects_all_certificates(net: Network, source: RevocationSource) -> None:
    authority = replace(net.fe2.authority, source=source)
    assert newly_revoked(authority, lists(net, LEAF, number=2), NOON) is None
