"""The cache of acceptances saves work, and never accepts a peer that would be refused without it.

`fresh` gives the same policy with an empty cache. The policy with the cache must give the same verdict, finding by finding.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from sipmesh.demo.forge import SERVER_AUTH, Forged, Wish
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind
from sipmesh.trust.judgement import verdict_cache
from sipmesh.trust.judgement.checks import CHECKS, REPEATED
from sipmesh.trust.judgement.judge import Judge, judge
from sipmesh.trust.judgement.verdict_cache import steady
from sipmesh.trust.path.chain import Trail, find_path
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.trusted_peers import TrustedPeers
from trust.network import ALPHA, BETA, EXPIRED, FE2, NOON, Network, errors, evidence, finding, verdict_on

if TYPE_CHECKING:
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.verdict import Verdict

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PARTNER = LinkKind.PARTNER


def known(shown: Forged, policy: LinkPolicy) -> Judge:
    """A judge under *policy* that has accepted the chain of *shown*."""
    experienced = Judge(policy)
    assert verdict_on(shown, experienced).accepted
    assert len(experienced.cache) == 1
    return experienced


def after(policy: Judge, shown: Forged, late: timedelta = timedelta(0), **changes: Any) -> Verdict:
    """What *policy* says now, which has to be what it would say if it remembered nothing."""
    verdict = verdict_on(shown, policy, after=late, **changes)
    assert verdict == verdict_on(shown, policy.policy, after=late, **changes)
    return verdict


@pytest.fixture(name="engines")
def _engines(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every path that is looked for while the test runs."""
    asked: list[object] = []

    def counted(*args: Any) -> Trail:
        asked.append(args)
        return find_path(*args)

    monkeypatch.setattr("sipmesh.trust.judgement.evaluation.find_path", counted)
    return asked


def test_known_chain_is_accepted_again_without_another_path_check(net: Network, engines: list[object]) -> None:
    shown, policy = net.fe2_certificate(), Judge(net.policy())
    first, again = verdict_on(shown, policy), verdict_on(shown, policy)
    assert first == again
    assert len(engines) == 1
    later = verdict_on(shown, policy, after=HOUR / 2)
    assert later.accepted
    assert later.at == NOON + HOUR / 2
    assert len(engines) == 1


def test_cached_verdict_has_its_own_handshake(net: Network) -> None:
    shown, policy = net.fe2_certificate(), Judge(net.policy())
    verdict_on(shown, policy, remote=("192.0.2.66", 1))
    assert after(policy, shown).remote == ("192.0.2.7", 5062)
    assert "03-01 12:20:00Z" in next(f.wanted for f in after(policy, shown, HOUR / 3).findings if f.check == "validity")


def test_refusals_are_not_cached(net: Network, engines: list[object]) -> None:
    stranger, policy = net.forge.server(net.stranger, FE2), Judge(net.policy())
    assert verdict_on(stranger, policy) == verdict_on(stranger, policy)
    assert len(policy.cache) == 0
    assert len(engines) == 2


def test_unknown_peer_does_not_cause_a_check_of_all_anchors(net: Network, engines: list[object]) -> None:
    policy = Judge(net.policy(PARTNER))
    stranger = after(policy, net.forge.server(net.stranger, "alhpa.test"))
    assert stranger.code == "untrusted-issuer"
    assert engines == []
    misspelt = after(policy, net.forge.server(net.alpha_ca, "alhpa.test"))
    assert misspelt.code == "partner-unknown"
    assert len(engines) == 2, "once as it is, once by the policy that remembers nothing"


def test_fewer_similar_names_are_compared_for_an_unknown_peer(net: Network) -> None:
    names = (f"fe{n:03}.example.test" for n in range(100))
    many = TrustedPeers(replace(net.fe2, identity=frozenset({name})) for name in names)
    policy = Judge(net.policy(peers=many))
    meant = "fe050.example.tets"
    for signer in (net.stranger, net.ours):
        told = finding(after(policy, net.forge.server(signer, meant)), "topology").saw
        assert told == f"{meant} is not in the topology; the nearest name is fe050.example.test"
    far = "ffe050.example.test"  # one letter more, which is half a hundred names away
    saw = [finding(after(policy, net.forge.server(one, far)), "topology").saw for one in (net.stranger, net.ours)]
    assert ["nearest name is fe050" in one for one in saw] == [False, True]


# Attacks on the chain


def test_the_same_leaf_with_other_issuers_is_another_chain(net: Network, engines: list[object]) -> None:
    """The key of the CA with the same name has signed nothing here. The control has the right issuer in its chain."""
    shown = net.fe2_certificate()
    policy = known(shown, net.policy())
    namesake = net.forge.organisation("Example")
    leaf, issuer = shown.presented
    wrong = (leaf, namesake.presented[0])
    assert not after(policy, shown, presented=(leaf,)).accepted
    assert not after(policy, shown, presented=wrong).accepted
    before = len(engines)
    assert after(policy, shown, presented=(leaf, namesake.presented[0], issuer)).accepted
    assert len(engines) > before


def test_the_same_key_in_another_certificate_is_another_peer(net: Network) -> None:
    shown = net.fe2_certificate()
    policy = known(shown, net.policy())
    mallory = net.forge.server(net.ours, "mallory.example.test")
    assert mallory.key is shown.key
    assert after(policy, mallory).code == "not-in-topology"
    assert after(policy, net.fe2_certificate(ca=True)).code == "not-a-leaf"
    assert after(policy, net.fe2_certificate()).accepted


def test_one_changed_octet_is_another_certificate(net: Network) -> None:
    shown = net.fe2_certificate()
    policy = known(shown, net.policy())
    leaf, issuer = shown.presented
    forged = leaf[:-1] + bytes([leaf[-1] ^ 1])
    assert not after(policy, shown, presented=(forged, issuer)).accepted
    assert after(policy, shown, presented=(leaf, issuer)).accepted


# Attacks on the door


def test_chain_is_cached_for_one_policy_only(net: Network) -> None:
    shown = net.alpha_certificate()
    known(shown, net.policy(PARTNER))
    assert after(Judge(net.policy()), shown).code == "role-not-allowed"
    assert after(Judge(net.opening(net.beta, BETA)), shown).code == "name-mismatch"
    assert after(Judge(net.opening(net.alpha, ALPHA)), shown).accepted


def test_direction_of_the_link_is_part_of_the_cache_key(net: Network) -> None:
    """If the partner's entry is strict, a certificate for serverAuth is accepted on opened links only."""
    shown = net.alpha_certificate(usages=(SERVER_AUTH,))
    policy = known(shown, net.opening(net.alpha, ALPHA))
    assert after(policy, shown, direction=Direction.ACCEPTED).code == "wrong-usage"
    assert after(policy, shown).accepted


def test_new_openssl_errors_refuse_a_cached_chain(net: Network) -> None:
    shown = net.fe2_certificate()
    policy = known(shown, net.policy())
    assert after(policy, shown, engine_errors=errors(EXPIRED)).code == "expired"
    assert after(policy, shown).accepted


@pytest.mark.parametrize("code", ["handshake-timeout", "refused-by-peer", "handshake-failed"])
def test_failed_handshake_of_a_cached_peer_is_refused(net: Network, code: str) -> None:
    shown = net.fe2_certificate()
    policy = known(shown, net.policy())
    assert after(policy, shown, failure=HandshakeFailure(code, "it failed")).code == code
    assert after(policy, shown).accepted


# Attacks on the time


@pytest.mark.parametrize(
    ("late", "code"),
    [
        (-10 * 365 * DAY, "not-yet-valid"),
        (-MINUTE - SECOND, "not-yet-valid"),
        (-MINUTE, "accepted"),
        (HOUR, "accepted"),
        (HOUR + SECOND - timedelta(microseconds=1), "accepted"),
        (HOUR + SECOND, "expired"),
        (10 * 365 * DAY, "expired"),
    ],
)
def test_validity_is_checked_at_every_handshake(net: Network, late: timedelta, code: str) -> None:
    """Lists without end, so that only the certificate's own dates decide."""
    shown = net.fe2_certificate(begins=-MINUTE, ends=HOUR)
    policy = known(shown, _listed(net, this_update=NOON - 7300 * DAY, next_update=NOON + 7300 * DAY))
    assert after(policy, shown, late).code == code
    assert after(policy, shown).accepted


def test_expired_issuer_refuses_its_cached_leaves(net: Network) -> None:
    assert net.ours.issuer is not None
    brief = net.forge.authority("Brief CA", net.ours.issuer, ends=HOUR)
    shown = net.forge.server(brief, FE2)
    policy = known(shown, net.policy(peers=net.swapped(net.fe2, authority=net.authority("Example", brief))))
    assert after(policy, shown, HOUR).accepted
    assert after(policy, shown, HOUR + SECOND).code == "expired"


@pytest.mark.parametrize("revoked", [False, True])
def test_certificate_that_becomes_valid_may_change_the_path(net: Network, *, revoked: bool) -> None:
    """The renewed issuer is first in the chain. As soon as it is valid, it is in the path."""
    old = net.ours
    assert old.issuer is not None
    again = Wish("Example issuing CA", ca=True, usages=(), path_length=0, begins=HOUR, serial=0x2E)
    renewed = net.forge.forge(again, old.issuer, reuse=old.key)
    assert renewed.certificate.subject == old.certificate.subject
    lists = [net.forge.revocations(old.issuer, [0x2E] if revoked else []), net.forge.revocations(old)]
    authority = replace(net.fe2.authority, lists=RevocationLists(map(RevocationList.load, lists)))
    shown = net.fe2_certificate()
    leaf, issuer = shown.presented
    chain = (leaf, renewed.presented[0], issuer)
    policy = Judge(net.policy(peers=net.swapped(net.fe2, authority=authority)))
    assert after(policy, shown, presented=chain).accepted
    assert after(policy, shown, HOUR - SECOND, presented=chain).accepted
    assert after(policy, shown, HOUR, presented=chain).accepted is not revoked


def test_clock_that_goes_back_finds_the_cached_verdict(net: Network) -> None:
    shown = net.fe2_certificate(ends=HOUR)
    policy = known(shown, net.policy())
    for late in (HOUR + SECOND, timedelta(0), HOUR, 2 * HOUR, HOUR / 2):
        assert after(policy, shown, late).accepted is (late <= HOUR)


# Attacks on revocation


def test_expired_crl_refuses_a_cached_chain(net: Network) -> None:
    shown = net.fe2_certificate()
    policy = known(shown, net.policy())
    ends = next(iter(net.fe2.authority.lists)).next_update
    assert after(policy, shown, ends - NOON).accepted
    assert after(policy, shown, ends - NOON + SECOND).code == "revocation-unknown"


def test_crl_is_used_from_its_this_update(net: Network) -> None:
    shown = net.fe2_certificate()
    policy = known(shown, _listed(net, this_update=NOON - MINUTE))
    assert after(policy, shown, -MINUTE - SECOND).code == "revocation-unknown"
    assert after(policy, shown, -MINUTE).accepted


def test_certificate_on_a_new_crl_is_refused_and_another_is_not(net: Network) -> None:
    """A new topology makes a new policy, with an empty cache."""
    revoked, twin = net.fe2_certificate(serial=0xBAD), net.fe2_certificate(serial=0x600D)
    policy = Judge(net.policy())
    assert verdict_on(revoked, policy).accepted
    assert verdict_on(twin, policy).accepted
    newer = net.swapped(net.fe2, authority=net.authority("Example", net.ours, revoked))
    reloaded = Judge(replace(policy.policy, peers=newer))
    assert len(reloaded.cache) == 0
    assert after(reloaded, revoked).code == "revoked"
    assert after(reloaded, twin).accepted


def test_certificate_on_a_replaced_crl_is_refused_and_another_is_not(net: Network, engines: list[object]) -> None:
    """The precedents stay, so that new lists cost no path check; what they say is never the old lists' word."""
    revoked, twin = net.fe2_certificate(serial=0xBAD), net.fe2_certificate(serial=0x600D)
    authority = net.authority("Example", net.ours)
    policy = Judge(net.policy(peers=net.swapped(net.fe2, authority=authority)))
    assert verdict_on(revoked, policy).accepted
    assert verdict_on(twin, policy).accepted
    authority.use_crls(net.authority("Example", net.ours, revoked).lists)
    before = len(engines)
    assert verdict_on(twin, policy).accepted
    assert len(engines) == before
    for _ in range(2):
        assert after(policy, revoked).code == "revoked"
        assert after(policy, twin).accepted
    authority.use_crls(net.authority("Example", net.ours).lists)
    assert after(policy, revoked).accepted


def test_removed_crl_refuses_a_cached_chain(net: Network) -> None:
    authority = net.authority("Example", net.ours)
    policy = known(net.fe2_certificate(), net.policy(peers=net.swapped(net.fe2, authority=authority)))
    authority.use_crls(RevocationLists())
    assert after(policy, net.fe2_certificate()).code == "revocation-unknown"


def test_serials_are_checked_at_every_handshake(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a list changed under a policy after all, its precedents would not hide it."""
    shown = net.fe2_certificate(serial=0xBAD)
    authority = net.authority("Example", net.ours)
    policy = known(shown, net.policy(peers=net.swapped(net.fe2, authority=authority)))
    for held in authority.lists:
        monkeypatch.setattr(held, "serials", frozenset({0xBAD}))
    assert after(policy, shown).code == "revoked"


# What is asked, and what is kept


def test_new_check_runs_for_a_cached_chain(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, policy = net.fe2_certificate(ca=True), Judge(net.policy())
    monkeypatch.setattr(
        "sipmesh.trust.judgement.judge.CHECKS", {name: held for name, held in CHECKS.items() if name == "handshake"}
    )
    assert verdict_on(shown, policy).accepted
    monkeypatch.undo()
    assert after(policy, shown).code == "not-a-leaf"


def test_changing_findings_are_never_reused() -> None:
    assert set(CHECKS) >= REPEATED == {"handshake", "validity", "dane", "revocation"}


def test_cache_is_bounded_and_the_oldest_is_removed(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_cache, "KEPT", 2)
    policy = Judge(net.policy())
    shown = [net.fe2_certificate() for _ in range(3)]
    for one in shown:
        assert verdict_on(one, policy).accepted
    assert len(policy.cache) == 2
    assert policy.cache.find(evidence(shown[0], policy), NOON) is None
    assert policy.cache.find(evidence(shown[2], policy), NOON) is not None
    assert all(after(policy, one).accepted for one in shown)


@pytest.mark.parametrize("over", [0, 1])
def test_a_chain_that_is_longer_than_real_chains_is_judged_in_full_each_time(
    net: Network, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    shown, policy = net.fe2_certificate(), Judge(net.policy())
    monkeypatch.setattr(verdict_cache, "LONGEST", sum(map(len, shown.presented)) - over)
    assert verdict_on(shown, policy).accepted
    assert len(policy.cache) == 1 - over
    assert after(policy, shown).accepted


def test_last_possible_date_is_handled(net: Network) -> None:
    """RFC 5280 4.1.2.5: 99991231235959Z says that there is no end; one second later there is no year."""
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    endless = net.fe2_certificate(ends=never - NOON)
    span = steady([endless.certificate], NOON)
    assert span is not None
    assert span[1] > never
    assert after(known(endless, net.policy()), endless).accepted


def test_no_span_without_a_change_before_and_after(net: Network) -> None:
    assert steady([net.fe2_certificate().certificate], NOON - 100 * DAY) is None


def test_repr_shows_the_number_of_cached_verdicts(net: Network) -> None:
    assert repr(known(net.fe2_certificate(), net.policy()).cache) == "<VerdictCache 1>"


@pytest.mark.parametrize(
    "changes",
    [
        {"presented": ()},
        {"engine_errors": errors(EXPIRED)},
        {"direction": Direction.OPENED},
        {"kind": PARTNER},
        {"failure": HandshakeFailure("handshake-failed", "it failed")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_cached_verdict_needs_the_same_evidence(net: Network, changes: dict[str, Any]) -> None:
    shown, policy = net.fe2_certificate(), net.policy()
    found = known(shown, policy).cache.find
    assert found(evidence(shown, policy, remote=("192.0.2.66", 1)), NOON) is not None
    assert found(evidence(shown, policy, **changes), NOON) is None


@pytest.mark.parametrize(
    ("late", "within"),
    [(-MINUTE - SECOND, False), (-MINUTE, True), (HOUR + SECOND / 2, True), (HOUR + SECOND, False)],
)
def test_cached_verdict_ends_when_a_certificate_becomes_valid_or_expires(
    net: Network, late: timedelta, *, within: bool
) -> None:
    shown, policy = net.fe2_certificate(begins=-MINUTE, ends=HOUR), net.policy()
    found = known(shown, policy).cache.find(evidence(shown, policy), NOON + late)
    assert (found is not None) is within


# All of it at once


@pytest.mark.wide
def test_cache_never_changes_a_verdict(net: Network) -> None:
    """Policies that remember everything so far against policies that remember nothing."""
    random = Random(5922)  # noqa: S311 - the same order in every run
    policies = [
        Judge(policy)
        for policy in (net.policy(), net.policy(PARTNER), net.opening(net.alpha, ALPHA), net.opening(net.fe2, FE2))
    ]
    shown = [
        net.fe2_certificate(),
        net.fe2_certificate(ends=HOUR),
        net.fe2_certificate(begins=-HOUR, ends=2 * HOUR),
        net.fe2_certificate(usages=(SERVER_AUTH,)),
        net.alpha_certificate(),
        net.alpha_certificate("www.test", ends=HOUR),
        net.gamma_certificate(),
        net.forge.server(net.beta_ca, BETA),
        net.forge.server(net.stranger, FE2),
    ]
    codes: set[str] = set()
    for _ in range(400):
        policy, one = random.choice(policies), random.choice(shown)
        told = evidence(one, policy)
        told = random.choice(
            [told, told, replace(told, engine_errors=errors(EXPIRED)), replace(told, presented=told.presented[:1])]
        )
        at = NOON + timedelta(minutes=random.choice([-300, -59, 0, 0, 1, 59, 60, 61, 120, 121, 60 * 24 * 40]))
        verdict = policy.judge(told, at=at)
        assert verdict == judge(told, policy.policy, at=at)
        codes.add(verdict.code)
    assert {"accepted", "expired", "not-yet-valid", "untrusted-issuer", "role-not-allowed", "name-mismatch"} <= codes


def _listed(net: Network, **changes: Any) -> LinkPolicy:
    """The policy of our front end, with every list of the enterprise's changed."""
    lists = RevocationLists([replace(held, **changes) for held in net.fe2.authority.lists])
    return net.policy(peers=net.swapped(net.fe2, authority=replace(net.fe2.authority, lists=lists)))
