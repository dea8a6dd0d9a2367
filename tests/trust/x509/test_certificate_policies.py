"""A path must meet the policy requirements of its CAs. Without a requirement there is no refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.trust.code import Code
from sipmesh.trust.x509.certificate_policies import ANY, LINKS, MOST, NONE, Wanted, demands_of, unmet
from support.examples import examples
from trust.answers import tlv
from trust.network import FE2, FE_NAMES, NOON, Network, finding, verdict_on
from trust.policy_tree import accepts

FORGE = Forge(NOON)
ROOT = FORGE.root("Root")
A, B, C = "1.3.6.1.4.1.99.1", "1.3.6.1.4.1.99.2", "1.3.6.1.4.1.99.3"
ARC = bytes.fromhex("2b0601040163")
ENCODED = {A: ARC + b"\x01", B: ARC + b"\x02", C: ARC + b"\x03", ANY: bytes.fromhex("551d2000")}
EXPLICIT = Wanted(explicit=True)


def issued(*policies: str) -> x509.CertificatePolicies:
    """Issued under these policies."""
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in policies])


def maps(*pairs: tuple[str, str]) -> x509.UnrecognizedExtension:
    """Policy mappings, which cryptography does not know."""
    der = tlv(0x30, *(tlv(0x30, *(tlv(6, ENCODED[one]) for one in pair)) for pair in pairs))
    return x509.UnrecognizedExtension(ExtensionOID.POLICY_MAPPINGS, der)


def limits(explicit: int | None = None, mapping: int | None = None) -> x509.PolicyConstraints:
    """Policy constraints."""
    return x509.PolicyConstraints(explicit, mapping)


def path(*extensions: tuple[x509.ExtensionType, ...], rolls: int | None = None) -> tuple[x509.Certificate, ...]:
    """A path with these extensions, the topmost authority's first; the authority at *rolls* issued to itself."""
    above = ROOT
    held: list[Forged] = []
    for depth, extra in enumerate(extensions):
        last = depth == len(extensions) - 1
        name = held[depth - 1].certificate.subject.rfc4514_string()[3:] if depth == rolls else f"CA {depth}"
        ca = Wish(name, ca=True, usages=(), ends=timedelta(days=9), extra=extra)
        above = FORGE.forge(Wish("leaf", names=("a.test",), extra=extra) if last else ca, above)
        held.append(above)
    return (*(one.certificate for one in reversed(held)), ROOT.certificate)


def passes(*extensions: tuple[x509.ExtensionType, ...], wanted: Wanted = EXPLICIT, rolls: int | None = None) -> bool:
    """Whether the path meets what is demanded."""
    return unmet(path(*extensions, rolls=rolls), wanted) == []


def test_path_without_requirements_passes() -> None:
    assert passes((), (), wanted=LINKS)
    assert passes((issued(A),), (issued(B),), wanted=LINKS)
    assert demands_of(path((), ())[0]) is NONE


def test_an_explicit_policy_has_to_run_from_top_to_bottom() -> None:
    assert passes((issued(A),), (issued(A),))
    assert passes((issued(A, B),), (issued(B, C),))
    assert not passes((issued(A),), (issued(B),))
    assert not passes((issued(A),), ())
    assert not passes((), (issued(A),))


@pytest.mark.parametrize(("after", "passed"), [(0, False), (1, False), (2, True)])
def test_an_authority_demands_an_explicit_policy_after_so_many_certificates(after: int, *, passed: bool) -> None:
    """On links too: any policy will do, but there has to be one."""
    demand = limits(explicit=after)
    assert passes((issued(A), demand), (issued(A),), wanted=LINKS)
    assert passes((issued(A), demand), (issued(B),), wanted=LINKS) is passed
    assert passes((demand,), (), wanted=LINKS) is passed


def test_a_leaf_may_demand_it_of_itself() -> None:
    assert passes((issued(A),), (issued(A), limits(explicit=0)), wanted=LINKS)
    assert not passes((), (issued(A), limits(explicit=0)), wanted=LINKS)
    assert passes((), (issued(A), limits(explicit=1)), wanted=LINKS)


def test_any_policy_matches_every_expected_policy() -> None:
    assert passes((issued(ANY),), (issued(A),))
    assert passes((issued(A),), (issued(ANY),))
    assert passes((issued(ANY),), (issued(ANY),))
    assert passes((issued(ANY),), (issued(ANY),), wanted=Wanted(frozenset({A}), explicit=True))


def test_any_policy_can_be_inhibited() -> None:
    none = x509.InhibitAnyPolicy(0)
    assert not passes((issued(A), none), (issued(ANY),))
    assert passes((issued(A), none), (issued(A),))
    assert passes((issued(A), x509.InhibitAnyPolicy(1)), (issued(ANY),))
    assert not passes((issued(ANY),), (issued(A),), wanted=Wanted(explicit=True, any_inhibited=True))


def test_an_authority_that_changes_its_key_may_still_say_any() -> None:
    """RFC 5280 6.1.3 (d) (2): a self-issued certificate in between is exempt, the last one is not."""
    none = x509.InhibitAnyPolicy(0)
    assert passes((issued(A), none), (issued(ANY),), (issued(A),), rolls=1)
    assert not passes((issued(A), none), (issued(ANY),), (issued(A),))


def test_only_policies_that_the_user_wants_are_accepted() -> None:
    for wanted, passed in (({A}, True), ({B}, False), ({B, A}, True)):
        assert passes((issued(A),), (issued(A),), wanted=Wanted(frozenset(wanted), explicit=True)) is passed


def test_without_a_requirement_the_users_policies_refuse_nothing() -> None:
    """RFC 5280 6.1.5: only an explicit policy that is demanded can be missing."""
    assert passes((issued(A),), (issued(A),), wanted=Wanted(frozenset({B})))


def test_a_mapped_policy_is_known_by_the_issuers_name() -> None:
    top = (issued(A), maps((A, B)))
    for wanted, passed in ((A, True), (B, False)):
        assert passes(top, (issued(B),), wanted=Wanted(frozenset({wanted}), explicit=True)) is passed
    assert not passes(top, (issued(A),))


def test_mapping_may_be_one_to_many_and_many_to_one() -> None:
    assert passes((issued(A), maps((A, B), (A, C))), (issued(C),))
    both = Wanted(frozenset({B}), explicit=True)
    assert passes((issued(A, B), maps((A, C), (B, C))), (issued(C),), wanted=both)


def test_any_policy_can_be_mapped_from_a_policy_that_it_stands_for() -> None:
    top = (issued(ANY), maps((A, B)))
    assert passes(top, (issued(B),), wanted=Wanted(frozenset({A}), explicit=True))
    assert not passes((issued(C), maps((A, B))), (issued(B),))


def test_mapping_can_be_inhibited() -> None:
    top = (issued(A), maps((A, B)))
    assert not passes((issued(A), limits(mapping=0)), top, (issued(B),))
    assert not passes((issued(A), limits(mapping=0)), top, (issued(A),))  # what was mapped is gone altogether
    assert passes((issued(A), limits(mapping=1)), top, (issued(B),))
    assert not passes(top, (issued(B),), wanted=Wanted(explicit=True, mapping_inhibited=True))


@pytest.mark.parametrize("pair", [(ANY, A), (A, ANY)])
def test_any_policy_itself_must_not_be_mapped(pair: tuple[str, str]) -> None:
    """RFC 5280 6.1.4 (a), for any demanded policy."""
    assert not passes((issued(A), maps(pair)), (issued(A),), wanted=LINKS)
    assert passes((issued(A), maps((A, B))), (issued(A),), wanted=LINKS)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x05\x30\x03\x06\x01\x2a", b"\x05\x00"])
def test_mappings_that_cannot_be_read_refuse(der: bytes) -> None:
    unread = x509.UnrecognizedExtension(ExtensionOID.POLICY_MAPPINGS, der)
    (fault,) = unmet(path((issued(A), unread), (issued(A),)))
    assert "cannot be read" in fault


def test_an_anchor_demands_nothing() -> None:
    root = FORGE.root("Root", extra=(limits(explicit=0),))
    assert unmet((FORGE.server(root, "a.test").certificate, root.certificate)) == []


def test_policies_have_a_limit() -> None:
    def many(count: int) -> x509.CertificatePolicies:
        return issued(*(f"1.3.6.1.4.1.99.{n}" for n in range(count)))

    assert passes((many(MOST),), (issued(A),))
    assert not passes((many(MOST + 1),), (issued(A),))


def test_exponential_policy_tree_takes_linear_work() -> None:
    """RFC 9618 1.1: each authority maps each of its policies to all of the next one's."""
    names = [f"1.3.6.1.4.1.99.{n}" for n in range(1, 8)]
    ENCODED.update({one: ARC + bytes((n + 1,)) for n, one in enumerate(names)})
    every = (issued(*names), maps(*((one, other) for one in names for other in names)))
    assert passes(*[every] * 9, (issued(A),), wanted=Wanted(frozenset({C}), explicit=True))


def _extensions(*, last: bool) -> st.SearchStrategy[tuple[x509.ExtensionType, ...]]:
    """What one certificate may say."""
    names = st.sampled_from([A, B, C])
    some = st.lists(st.sampled_from([A, B, C, ANY]), min_size=1, unique=True)
    pairs = st.lists(st.tuples(names, names), min_size=1, max_size=3, unique=True)
    few = st.sampled_from([None, 0, 1, 2])
    said = [
        st.none() | some.map(lambda held: issued(*held)),
        st.none() if last else st.none() | pairs.map(lambda held: maps(*held)),
        st.none() | st.tuples(few, st.sampled_from([0, 1, 2])).map(lambda held: limits(*held)),
        st.none() | st.sampled_from([0, 1]).map(x509.InhibitAnyPolicy),
    ]
    return st.tuples(*said).map(lambda held: tuple(one for one in held if one is not None))


WANTED = st.builds(
    Wanted, st.sampled_from([{ANY}, {A}, {B, C}]).map(frozenset), st.booleans(), st.booleans(), st.booleans()
)


@examples(300)
@given(st.lists(_extensions(last=False), min_size=1, max_size=4), _extensions(last=True), WANTED, st.data())
@pytest.mark.wide
def test_the_graph_agrees_with_the_tree_of_the_rfc(
    above: list[tuple[x509.ExtensionType, ...]],
    leaf: tuple[x509.ExtensionType, ...],
    wanted: Wanted,
    data: st.DataObject,
) -> None:
    rolls = data.draw(st.sampled_from([None, *range(1, len(above))]))
    held = path(*above, leaf, rolls=rolls)
    assert (unmet(held, wanted) == []) is accepts(held, wanted)


# On links


@pytest.mark.parametrize(
    ("policies", "code"), [((A,), Code.ACCEPTED), ((B,), Code.MALFORMED_CERTIFICATE), ((), Code.MALFORMED_CERTIFICATE)]
)
def test_links_apply_the_policy_requirement_of_a_ca(net: Network, policies: tuple[str, ...], code: Code) -> None:
    demanding: dict[str, Any] = {"extra": (issued(A),), "critical": (limits(explicit=0),)}
    issuing = net.forge.organisation("Demanding", **demanding)
    peers = net.swapped(net.fe2, authority=net.authority("Example", issuing))
    shown = net.forge.server(issuing, FE2, *FE_NAMES, extra=(issued(*policies),) if policies else ())
    verdict = verdict_on(shown, net.policy(peers=peers))
    assert verdict.code is code
    assert ("policy" in finding(verdict, "issuing").saw) is (code is not Code.ACCEPTED)


def test_policy_constraints_that_others_may_skip_are_refused_where_no_policy_is_named(net: Network) -> None:
    """RFC 5280 4.2.1.11 requires them critical, RFC 3280 did not. The control is from that time."""
    for extra, code in (
        ((limits(explicit=3),), Code.MALFORMED_CERTIFICATE),
        ((limits(explicit=3), issued(A)), Code.ACCEPTED),
    ):
        issuing = net.forge.organisation("Loose", extra=extra)
        peers = net.swapped(net.fe2, authority=net.authority("Example", issuing))
        shown = net.forge.server(issuing, FE2, *FE_NAMES)
        assert verdict_on(shown, net.policy(peers=peers)).code is code
