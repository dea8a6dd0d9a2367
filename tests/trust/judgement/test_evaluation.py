"""What the checks look at: the entry that a certificate is judged as, its path, and what it is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cryptography import x509

from sipmesh.demo.forge import Forged
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.x509.chain_bounds import CHAIN_NAMES
from sipmesh.trust.x509.name_constraints import COMPARISONS
from trust.network import ALPHA, FE2, NOON, Network, evidence


def evaluated(shown: Forged | None, policy: LinkPolicy, **changes: object) -> Evaluation:
    return Evaluation(evidence(shown, policy, **changes), policy, NOON)


def test_certificate_is_judged_as_the_one_entry_that_it_names(net: Network) -> None:
    found = evaluated(net.fe2_certificate(), net.policy())
    assert (found.peer, found.named, found.opened) == (net.fe2, (net.fe2,), False)
    assert found.proved == {FE2}
    assert [authority.name for authority in found.counted] == ["Example"]


def test_opened_link_is_judged_by_the_expected_entry(net: Network) -> None:
    found = evaluated(net.alpha_certificate(), net.opening(net.fe2, FE2))
    assert (found.peer, found.opened, found.proved) == (net.fe2, True, frozenset())


def test_certificate_that_names_two_entries_has_no_entry(net: Network) -> None:
    shown = net.forge.server(net.ours, FE2, "bot.example.test")
    found = evaluated(shown, net.policy())
    assert (found.peer, found.named, found.proved) == (None, (net.fe2, net.bot), frozenset())
    assert found.foreign == {}


def test_unknown_certificate_is_checked_against_all_authorities(net: Network) -> None:
    """The certificate names no entry, so each authority is possible."""
    found = evaluated(net.forge.server(net.stranger, "fe9.example.test"), net.policy())
    assert len(found.counted) == 4
    assert (found.unknown, found.trail.path, found.line) == (("fe9.example.test",), (), (found.leaf,))
    assert found.nearest == {"fe9.example.test": "fe2.example.test"} or found.nearest["fe9.example.test"].startswith(
        "fe"
    )


def test_name_of_another_entry_is_foreign(net: Network) -> None:
    found = evaluated(net.alpha_certificate(FE2), net.opening(net.alpha, ALPHA))
    assert found.foreign == {FE2: (net.fe2,)}


def test_name_of_a_pool_identifies_no_server(net: Network) -> None:
    found = evaluated(net.fe2_certificate(), net.policy())
    assert set(found.shared) == {"pool1.example.test", "example.test"}


def test_path_is_found_under_the_authority_of_the_entry(net: Network) -> None:
    found = evaluated(net.fe2_certificate(), net.policy())
    assert found.trail.verified
    assert found.line[0] == found.leaf
    assert found.trail.authority is net.fe2.authority
    assert (found.elsewhere.path, len(found.listed)) == ((), len(found.trail.path) - 1)


def test_path_to_another_authority_is_found(net: Network) -> None:
    found = evaluated(net.forge.server(net.alpha_ca, FE2), net.policy())
    assert found.trail.path == ()
    assert found.elsewhere.authority is net.alpha.authority
    assert found.line == found.elsewhere.path


def test_span_is_the_common_validity_of_all_certificates(net: Network) -> None:
    begin, end, text = evaluated(net.fe2_certificate(), net.policy()).span
    assert begin <= NOON < end
    assert text.startswith("valid until ")


def test_link_without_a_certificate_has_no_facts(net: Network) -> None:
    found = evaluated(None, net.policy())
    assert (found.leaf, found.names.usable, found.line, found.listed) == (None, (), (), ())
    assert not found.trail.path
    assert not found.elsewhere.path


def test_certificate_that_cannot_be_read_is_a_fault_with_its_depth(net: Network) -> None:
    shown = net.fe2_certificate()
    policy = net.policy()
    leaf = evaluated(shown, policy, presented=(b"nothing", *shown.presented[1:]))
    assert (leaf.leaf, leaf.fault[:26]) == (None, "certificate 0 of the chain")
    issuer = evaluated(shown, policy, presented=(shown.presented[0], b"nothing", b"neither"))
    assert issuer.leaf is not None
    assert issuer.fault.startswith("certificate 1 of the chain")


def test_chain_with_too_many_comparisons_is_not_followed(net: Network) -> None:
    trees = tuple(x509.DNSName(f"x{number}.test") for number in range(COMPARISONS // 20))
    ca = net.forge.authority("Bomb CA", net.forge.root("Bomb root"), permitted=trees)
    shown = net.forge.server(ca, "a.test", dns=tuple(f"a{number}.test" for number in range(20)))
    found = evaluated(shown, net.policy())
    assert found.excess
    assert (found.trail.path, found.trail.refusal, found.elsewhere.path) == ((), found.excess, ())


def test_nothing_of_a_chain_of_too_many_octets_or_names_is_looked_at(net: Network) -> None:
    shown = net.fe2_certificate()
    long = evaluated(shown, net.policy(), presented=(*shown.presented, *[shown.presented[-1]] * 200))
    assert "octets, more than" in long.fault
    assert (long.leaf, long.pool, long.names.usable) == (None, [], ())
    many = net.forge.server(net.forge.root("r"), "a.test", dns=tuple(f"a{number}" for number in range(CHAIN_NAMES)))
    named = evaluated(many, net.policy())
    assert "names, more than" in named.fault
    assert (named.leaf, named.pool, named.names.usable) == (None, [], ())


def test_second_handshake_reuses_computed_facts(net: Network) -> None:
    policy = net.policy()
    first = evaluated(net.fe2_certificate(), policy)
    listed = first.listed
    later = first.again(replace(first.evidence, remote=("192.0.2.8", 1)), NOON + timedelta(minutes=1), live=True)
    assert (later.live, later.at, later.evidence.remote[0]) == (True, NOON + timedelta(minutes=1), "192.0.2.8")
    assert (later.trail, later.listed) == (first.trail, listed)


def test_new_crls_are_looked_up_again(net: Network) -> None:
    policy = net.policy()
    first = evaluated(net.fe2_certificate(), policy)
    authority, listed = net.fe2.authority, first.listed
    before = authority.lists
    assert all(one.held is not None for one in listed)
    try:
        authority.use_crls(RevocationLists())
        assert first.again(first.evidence, NOON).listed != listed
    finally:
        authority.use_crls(before)


def test_partner_is_judged_on_the_partner_port(net: Network) -> None:
    found = evaluated(net.alpha_certificate(), net.policy(LinkKind.PARTNER))
    assert (found.peer, found.proved) == (net.alpha, frozenset({ALPHA}))
