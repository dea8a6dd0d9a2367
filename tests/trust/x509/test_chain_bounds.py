"""A chain that asks for too much is refused before a path is looked for; one just below the bound is judged as any other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sipmesh.demo.forge import Forged, Wish
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement import checks
from sipmesh.trust.path import chain
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.x509 import name_constraints
from sipmesh.trust.x509.chain_bounds import CHAIN_NAMES, CHAIN_OCTETS, costly_keys, excess, too_long, too_many_names
from sipmesh.trust.x509.name_constraints import COMPARISONS
from support.mersenne_keys import LARGEST, LONG_EXPONENT, TOO_LARGE
from trust.network import ALPHA, NOON, Network, finding, verdict_on

NET = Network()


def trees(count: int) -> tuple[x509.GeneralName, ...]:
    """Constraints of which the first one alone permits the partner's names."""
    return (x509.DNSName(ALPHA), *(x509.DNSName(f"x{n}.{ALPHA}") for n in range(count - 1)))


def policy_of(*authorities: Forged) -> LinkPolicy:
    """The edge's policy where the partner's root is the first of *authorities*; each of them has a list."""
    lists = RevocationLists([RevocationList.load(NET.forge.revocations(one)) for one in authorities])
    authority = Authority("Alpha", (authorities[0].certificate,), lists)
    return NET.policy(LinkKind.PARTNER, peers=NET.swapped(NET.alpha, authority=authority))


def leaf_with(names: int, issuer: Forged) -> Forged:
    """A leaf with that many names. The subject is one of them."""
    more = tuple(f"a{n}.{ALPHA}" for n in range(names - 3))
    return NET.forge.server(issuer, ALPHA, dns=more)


@pytest.mark.parametrize(("names", "code"), [(49, Code.ACCEPTED), (50, Code.MALFORMED_CERTIFICATE)])
def test_names_times_constraints_at_the_bound_are_judged_and_one_more_is_refused(names: int, code: Code) -> None:
    """The CA's own subject is a name too: 50 names in all, with 50 constraints."""
    root = NET.forge.root("Bomb root")
    ca = NET.forge.authority("Bomb CA", root, permitted=trees(50))
    verdict = verdict_on(leaf_with(names, ca), policy_of(root, ca))
    assert verdict.code is code
    assert COMPARISONS == 50 * 50
    if code is not Code.ACCEPTED:
        assert "name constraints: their product" in finding(verdict, "certificate").saw
        assert finding(verdict, "issuer").judged is False


def test_constraints_count_over_all_that_is_presented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many certificates for each CA make many paths: neither a path nor a constraint is looked at."""
    looked = _counted(monkeypatch)
    root = NET.forge.root("Bomb root")
    above, presented = root, []
    for depth in range(3):
        key = ec.generate_private_key(ec.SECP256R1())
        versions = [
            NET.forge.forge(
                Wish(f"Bomb {depth}", ca=True, usages=(), permitted=trees(90), ends=timedelta(days=100 + n)),
                above,
                reuse=key,
            )
            for n in range(4)
        ]
        presented += [one.presented[0] for one in versions]
        above = versions[0]
    leaf = leaf_with(90, above)
    shown = (leaf.presented[0], *presented)
    verdict = verdict_on(leaf, policy_of(root), presented=shown)
    assert verdict.code is Code.MALFORMED_CERTIFICATE
    assert looked == []
    honest = leaf_with(3, NET.forge.authority("Honest CA", root, permitted=trees(3)))
    assert honest.issuer is not None
    assert verdict_on(honest, policy_of(root, honest.issuer)).accepted
    assert looked


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is called of the two that cost."""
    looked: list[str] = []
    find_path, violations = chain.find_path, name_constraints.violations

    def found(*given: Any) -> Any:
        looked.append("path")
        return find_path(*given)

    def violated(path: Any) -> Any:
        looked.append("constraints")
        return violations(path)

    monkeypatch.setattr("sipmesh.trust.judgement.evaluation.find_path", found)
    monkeypatch.setattr(checks, "violations", violated)
    return looked


@pytest.mark.parametrize(("more", "refused"), [(0, False), (1, True)])
def test_chain_of_as_many_octets_as_allowed_is_judged_and_one_more_is_not(more: int, refused: bool) -> None:  # noqa: FBT001
    presented = (b"\0" * (CHAIN_OCTETS - 1000), b"\0" * (1000 + more))
    assert bool(too_long(presented)) is refused


@pytest.mark.parametrize(("more", "refused"), [(0, False), (1, True)])
def test_chain_of_as_many_names_as_allowed_is_judged_and_one_more_is_not(more: int, refused: bool) -> None:  # noqa: FBT001
    """The subject is a name too. All of them belong to the same few octets."""
    certificate = leaf_with(CHAIN_NAMES + more, NET.forge.root("Names root")).certificate
    assert bool(too_many_names((certificate,))) is refused


@pytest.mark.parametrize(("attributes", "refused"), [(20, False), (CHAIN_NAMES, True)])
def test_attributes_of_the_subject_are_names_where_they_are_many(attributes: int, refused: bool) -> None:  # noqa: FBT001
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"a{number}") for number in range(attributes)])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOON).not_valid_after(NOON + timedelta(days=1))
    assert bool(too_many_names((builder.sign(key, hashes.SHA256()),))) is refused


def test_large_chain_is_refused_and_a_smaller_one_is_not() -> None:
    root = NET.forge.root("Bomb root")
    ca = NET.forge.authority("Bomb CA", root)
    policy = policy_of(root, ca)
    for names, code in ((4_000, Code.MALFORMED_CERTIFICATE), (1_000, Code.ACCEPTED)):
        verdict = verdict_on(leaf_with(names, ca), policy)
        assert verdict.code is code


def test_unreadable_extension_counts_as_little_and_is_left_to_the_checks() -> None:
    """The limits bound the work of the checks; they refuse the certificate."""
    broken = [
        x509.UnrecognizedExtension(kind.oid, b"\x30\x03\x82\x01\xff")
        for kind in (x509.SubjectAlternativeName, x509.NameConstraints)
    ]
    root = NET.forge.root("Broken root")
    certificate = NET.forge.forge(Wish("x"), root, critical=tuple(broken)).certificate
    assert excess((certificate,)) == ""
    ca = NET.forge.authority("CA", root, permitted=trees(2)).certificate
    assert excess((certificate, ca)) == ""


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (LARGEST, ""),
        (TOO_LARGE, "an RSA key of 15636 bits, more than 8192"),
        (LONG_EXPONENT, "an RSA key with an exponent of 2701 bits, more than 32"),
    ],
    ids=["RSA-7640", "RSA-15636", "exponent of 2701 bits"],
)
@pytest.mark.parametrize("of", ["leaf", "CA"])
def test_chain_with_a_key_too_large_to_verify_with_is_refused_before_a_path_is_searched(
    of: str, key: rsa.RSAPrivateKey, fault: str
) -> None:
    root = NET.forge.root("Large root")
    ca = NET.forge.forge(Wish("Large CA", ca=True, usages=()), root, reuse=key if of == "CA" else None)
    leaf = NET.forge.forge(Wish(ALPHA, names=(ALPHA,)), ca, reuse=key if of == "leaf" else None)
    verdict = verdict_on(leaf, policy_of(root, ca))
    assert verdict.code is (Code.WEAK_KEY if fault else Code.ACCEPTED)
    if fault:
        assert finding(verdict, "certificate").saw.endswith(f"has {fault}")
        assert finding(verdict, "issuer").judged is False


def test_key_of_an_unknown_kind_costs_nothing() -> None:
    """No signature is verified with it; the check of the key refuses it."""
    assert costly_keys((NET.forge.root("EC").certificate,)) == ""
