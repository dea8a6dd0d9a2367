"""Paths: both voices, and the limits on what a peer can make us do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge, Forged, KeyKind, Wish
from sipmesh.trust.authority import Authority
from sipmesh.trust.path.chain import (
    DEEPEST,
    PRESENTED,
    SIGNATURES,
    Trail,
    _Walk,
    early,
    expired,
    find_path,
    ill_formed,
    not_issuing,
    walk,
    weak,
)
from sipmesh.trust.revocation.crl_set import RevocationLists
from trust.network import NOON

FORGE = Forge(NOON)
ROOT = FORGE.root("root")
ISSUING = FORGE.authority("issuing", ROOT)
LEAF = FORGE.server(ISSUING, "fe1.example.test")
ANCHORS = (ROOT.certificate,)
TOP = Authority("Example", ANCHORS, RevocationLists())


def test_both_engines_find_the_same_path() -> None:
    expected = (LEAF.certificate, ISSUING.certificate, ROOT.certificate)
    trail = find_path(LEAF.certificate, [ISSUING.certificate], TOP, NOON)
    assert trail.path == expected
    assert trail.verified
    assert list(walk(LEAF.certificate, [ISSUING.certificate], ANCHORS)) == [expected]


def test_order_and_unrelated_certificates_in_the_chain_do_not_matter() -> None:
    pool = [FORGE.root("stranger").certificate, ROOT.certificate, ISSUING.certificate, LEAF.certificate]
    assert find_path(LEAF.certificate, pool, TOP, NOON).verified
    assert len(list(walk(LEAF.certificate, pool, ANCHORS))) == 1


def test_without_its_issuer_or_without_anchors_there_is_no_path() -> None:
    assert find_path(LEAF.certificate, [], TOP, NOON).path == ()
    nobody = Authority("nobody", (), RevocationLists())
    assert find_path(LEAF.certificate, [ISSUING.certificate], nobody, NOON) == Trail(
        (), nobody, "the authority has no anchors"
    )


def test_certificate_with_the_issuers_name_and_another_key_is_no_issuer() -> None:
    namesake = FORGE.authority("issuing", ROOT)
    assert find_path(LEAF.certificate, [namesake.certificate], TOP, NOON).path == ()
    assert find_path(LEAF.certificate, [namesake.certificate, ISSUING.certificate], TOP, NOON).verified


def test_of_several_paths_the_one_without_faults_is_taken() -> None:
    """A CA with two certificates, one of them expired: a good path exists, in any order."""
    old = FORGE.forge(_wish(ends=-timedelta(days=1)), ROOT)
    pool = [_renewed(old).certificate, old.certificate]
    leaf = FORGE.server(old, "fe1.example.test").certificate
    for order in (pool, pool[::-1]):
        assert find_path(leaf, order, TOP, NOON).verified


def _wish(**changes: Any) -> Wish:
    return Wish("rolled over", ca=True, usages=(), **changes)


def _renewed(old: Forged) -> Forged:
    """The same name and key as *old*, with a validity that has not ended."""
    return FORGE.forge(_wish(), ROOT, reuse=old.key)


def test_a_refusal_of_the_engine_stays_with_the_path_that_we_found() -> None:
    stale = FORGE.server(ISSUING, "fe1.example.test", ends=-timedelta(days=1)).certificate
    trail = find_path(stale, [ISSUING.certificate], TOP, NOON)
    assert len(trail.path) == 3
    assert not trail.verified
    assert "refused" in repr(trail)


@pytest.mark.parametrize(("between", "found"), [(DEEPEST, 1), (DEEPEST + 1, 0)])
def test_chain_depth_is_limited(between: int, found: int) -> None:
    above = [ROOT]
    for depth in range(between):
        above.append(FORGE.authority(f"CA {depth}", above[-1], path_length=None))
    leaf = FORGE.server(above[-1], "fe1.example.test")
    pool = [held.certificate for held in above[1:]]
    assert len(list(walk(leaf.certificate, pool, ANCHORS))) == found


def test_certificates_that_all_sign_each_other_cost_a_bounded_walk() -> None:
    """CAs of one name and one key make millions of paths; the walk stops where its signatures are used up."""
    twin = FORGE.forge(_wish(), ROOT)
    pool = [FORGE.forge(_wish(), twin, reuse=twin.key).certificate for _ in range(PRESENTED)]
    leaf = FORGE.server(twin, "fe1.example.test").certificate
    walked = _Walk(ANCHORS, pool)
    assert list(walked.onward((leaf,))) == []
    assert walked.left == 0
    assert len(walked.known) == SIGNATURES


@pytest.mark.parametrize(("after", "late", "soon"), [(-1, 0, 1), (0, 0, 0), (60, 0, 0), (61, 1, 0)])
def test_expired_and_not_yet_valid_are_distinguished(after: int, late: int, soon: int) -> None:
    path = (FORGE.server(ISSUING, begins=timedelta(0), ends=timedelta(minutes=1)).certificate,)
    at = NOON + timedelta(seconds=after)
    assert (len(expired(path, at)), len(early(path, at))) == (late, soon)


def test_issuer_that_is_not_a_ca_or_exceeds_its_path_length_is_reported() -> None:
    deep = FORGE.authority("deep", ISSUING)
    assert not_issuing((LEAF.certificate, ISSUING.certificate, ROOT.certificate)) == []
    assert "allows 0 authorities" in not_issuing((LEAF.certificate, deep.certificate, ISSUING.certificate))[0]
    assert "not a certification authority" in not_issuing((LEAF.certificate, LEAF.certificate))[0]
    mute = FORGE.authority("mute", ROOT, cert_sign=False)
    assert "may not sign" in not_issuing((LEAF.certificate, mute.certificate))[0]


def test_a_self_issued_authority_does_not_count_in_the_path_length() -> None:
    """RFC 5280 6.1.4 (l)."""
    rolled = FORGE.authority("issuing", ISSUING)
    assert not_issuing((LEAF.certificate, rolled.certificate, ISSUING.certificate)) == []


@pytest.mark.parametrize(("key", "weaknesses"), [(KeyKind.RSA_1024, 1), (KeyKind.RSA_2048, 0), (KeyKind.EC_P256, 0)])
def test_short_keys_are_weak_in_every_place(key: KeyKind, weaknesses: int) -> None:
    leaf = FORGE.server(ISSUING, "fe1.example.test", key=key).certificate
    assert len(weak((leaf, ISSUING.certificate))) == weaknesses
    authority = FORGE.authority("sub", ISSUING, key=key).certificate
    assert len(weak((LEAF.certificate, authority))) == weaknesses


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")


def test_what_is_critical_and_unknown_or_missing_is_ill_formed() -> None:
    path = (LEAF.certificate, ISSUING.certificate, ROOT.certificate)
    odd = FORGE.server(ISSUING, "fe1.example.test", critical=(UNKNOWN,)).certificate
    bare = FORGE.server(ISSUING, "fe1.example.test", with_aki=False).certificate
    assert ill_formed(path) == []
    assert "critical extension 1.2.3" in ill_formed((odd, *path[1:]))[0]
    assert "no authority key identifier" in ill_formed((bare, *path[1:]))[0]


NAMES = x509.SubjectAlternativeName([x509.DNSName("fe1.example.test")])
BY_SERIAL = x509.AuthorityKeyIdentifier(
    None, [x509.DirectoryName(ROOT.certificate.subject)], ISSUING.certificate.serial_number
)
WITHIN = x509.NameConstraints([x509.DNSName("example.test")], None)
OUTSIDE = x509.UniformResourceIdentifier("b.test")  # a constraint that makes the second engine blind
blind_or_not = pytest.mark.parametrize("excluded", [(), (OUTSIDE,)], ids=["both voices", "our walk alone"])


@blind_or_not
@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ({"critical": (WITHIN,)}, {}, "but is not a CA"),
        ({"common_name": "", "extra": (NAMES,)}, {"common_name": "", "critical": (NAMES,)}, "no subject"),
        ({"with_aki": False, "extra": (BY_SERIAL,)}, {}, "no authority key identifier"),
    ],
    ids=["constraints of a leaf", "neither subject nor critical names", "an issuer by its serial"],
)
def test_a_leaf_that_must_not_be_issued_is_ill_formed(
    excluded: tuple[x509.GeneralName, ...], wrong: dict[str, Any], right: dict[str, Any], told: str
) -> None:
    """The second engine's error is ignored if it cannot read the path, or where our rules for names differ."""
    issuing = FORGE.authority("issuing", ROOT, excluded=excluded)
    for changes, faults in ((wrong, 1), (right, 0)):
        leaf = FORGE.forge(Wish(), issuing, **changes)
        found = ill_formed(find_path(leaf.certificate, [issuing.certificate], TOP, NOON).path)
        assert [told in fault for fault in found] == [True] * faults


@blind_or_not
@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ({"common_name": ""}, {}, "(no subject) is a CA without a subject name"),
        ({"extra": (x509.InhibitAnyPolicy(0),)}, {"critical": (x509.InhibitAnyPolicy(0),)}, "4.2.1.14"),
    ],
    ids=["a CA without a subject name", "a policy limit that others may skip"],
)
def test_an_authority_that_must_not_be_issued_is_ill_formed(
    excluded: tuple[x509.GeneralName, ...], wrong: dict[str, Any], right: dict[str, Any], told: str
) -> None:
    for changes, faults in ((wrong, 1), (right, 0)):
        wish = {"common_name": "issuing", "excluded": excluded} | changes
        issuing = FORGE.forge(Wish(ca=True, usages=()), ROOT, **wish)
        leaf = FORGE.server(issuing, "fe1.example.test")
        found = ill_formed(find_path(leaf.certificate, [issuing.certificate], TOP, NOON).path)
        assert [told in fault for fault in found] == [True] * faults


POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.99.1"), None)])
DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "A")]))


@pytest.mark.parametrize(
    "changes",
    [{"critical": (POLICY,)}, {"excluded": (DIRECTORY,)}, {"excluded": (x509.UniformResourceIdentifier("b.test"),)}],
    ids=["critical policies", "a directory constraint", "a URI constraint"],
)
def test_own_path_check_decides_what_the_engine_cannot_read(changes: dict[str, Any]) -> None:
    issuing = FORGE.authority("issuing", ROOT, **changes)
    rightful, stale = (FORGE.server(issuing, "fe1.example.test", ends=ends) for ends in (timedelta(1), -timedelta(1)))
    trail = find_path(rightful.certificate, [issuing.certificate], TOP, NOON)
    assert trail.refusal
    assert trail.engine_is_blind
    assert trail.verified
    over = find_path(stale.certificate, [issuing.certificate], TOP, NOON).path
    assert expired(over, NOON) == [stale.certificate]


def test_leaf_cannot_avoid_the_engine() -> None:
    """A peer cannot avoid the second engine with an extension in its own certificate."""
    for changes in ({"critical": (POLICY,)}, {"excluded": (DIRECTORY,)}):
        leaf = FORGE.server(ISSUING, "fe1.example.test", **changes)
        trail = find_path(leaf.certificate, [ISSUING.certificate], TOP, NOON)
        assert not trail.engine_is_blind
        assert not trail.verified
    twin = FORGE.server(ISSUING, "fe1.example.test", extra=(POLICY,))
    assert find_path(twin.certificate, [ISSUING.certificate], TOP, NOON).verified
