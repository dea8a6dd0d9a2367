"""Single checks, for which one row of a table decides. Whole verdicts are in test_judge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sipmesh.demo.forge import KeyKind, Wish
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import HandshakeFailure, LinkKind, TlsFacts
from sipmesh.trust.path import chain
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.trusted_peers import TrustedPeers
from trust.network import ALPHA, BETA, BOT, EDGE, FE1, FE2, GAMMA, Network, errors, finding, verdict_on

PARTNER = LinkKind.PARTNER
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (timedelta(0) - SECOND, Code.NOT_YET_VALID),
        (timedelta(0), Code.ACCEPTED),
        (timedelta(hours=1), Code.ACCEPTED),
        (timedelta(hours=1) + SECOND, Code.EXPIRED),
    ],
)
def test_validity_includes_its_first_and_its_last_second(net: Network, after: timedelta, code: Code) -> None:
    shown = net.fe2_certificate(begins=timedelta(0), ends=timedelta(hours=1))
    verdict = verdict_on(shown, net.policy(), after=after)
    assert verdict.code is code
    assert "our clock" in finding(verdict, "validity").wanted


def test_expired_issuer_refuses_its_leaves(net: Network) -> None:
    assert net.ours.issuer is not None
    old = net.forge.authority("Old CA", net.ours.issuer, ends=-SECOND)
    policy = net.policy(peers=net.swapped(net.fe2, authority=net.authority("Example", old)))
    verdict = verdict_on(net.forge.server(old, FE2), policy)
    assert verdict.code is Code.EXPIRED
    assert "Old CA" in finding(verdict, "validity").saw


@pytest.mark.parametrize(
    ("blocked", "code"),
    [
        (frozenset({ALPHA}), Code.PARTNER_BLOCKED),
        (frozenset({"alpha2.test"}), Code.PARTNER_BLOCKED),  # another domain of the same partner
        (frozenset({"test"}), Code.ACCEPTED),  # the topology names the partner expressly
        (frozenset({BETA}), Code.ACCEPTED),
        (frozenset(), Code.ACCEPTED),
    ],
)
def test_a_block_on_any_domain_of_a_partner_blocks_the_partner(
    net: Network, blocked: frozenset[str], code: Code
) -> None:
    assert verdict_on(net.alpha_certificate(), net.policy(PARTNER, blocked=blocked)).code is code


def test_a_block_holds_for_links_that_we_open_too(net: Network) -> None:
    policy = net.opening(net.alpha, ALPHA, blocked=frozenset({ALPHA}))
    assert verdict_on(net.alpha_certificate(), policy).code is Code.PARTNER_BLOCKED
    assert verdict_on(net.alpha_certificate(), net.opening(net.alpha, ALPHA)).accepted


def test_unjudged_finding_refuses_without_giving_the_code(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.stranger, FE2), net.policy())
    unjudged = {held.check for held in verdict.findings if not held.judged}
    assert unjudged == {"second-engine", "issuing", "constraints", "revocation"}
    assert verdict.reason is finding(verdict, "issuer") or verdict.code is Code.UNTRUSTED_ISSUER


def test_finding_says_if_the_second_engine_cannot_read_the_path(net: Network) -> None:
    verdict = verdict_on(net.gamma_certificate(), net.policy(PARTNER))
    assert verdict.subject == GAMMA
    assert "URI constraints" in finding(verdict, "second-engine").saw


def test_two_partners_of_one_third_party_ca_differ_by_name(net: Network) -> None:
    """R8: or both use a third-party CA; then the name alone separates them."""
    public = net.forge.organisation("Public")
    authority = net.authority("Public", public)
    policy = net.policy(PARTNER, peers=TrustedPeers(net.swapped(net.alpha, authority=authority)[ALPHA]))
    assert verdict_on(net.forge.server(public, ALPHA), policy).accepted
    assert verdict_on(net.forge.server(public, "omega.test"), policy).code is Code.PARTNER_UNKNOWN


def test_finished_handshake_is_named_by_version_and_cipher(net: Network) -> None:
    facts = TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", "")
    verdict = verdict_on(net.fe2_certificate(), net.policy(), tls=facts)
    assert finding(verdict, "handshake").saw == "TLSv1.3 TLS_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("failure", "code"), [("handshake-timeout", Code.HANDSHAKE_TIMEOUT), ("nonsense", Code.HANDSHAKE_FAILED)]
)
def test_failed_handshake_has_a_known_code(net: Network, failure: str, code: Code) -> None:
    verdict = verdict_on(None, net.policy(), failure=HandshakeFailure(failure, ""))
    assert (verdict.code, finding(verdict, "handshake").saw) == (code, failure)


def test_client_needs_no_certificate(net: Network) -> None:
    verdict = verdict_on(None, LinkPolicy(LinkKind.CLIENT, "fe1.example.test", frozenset(), TrustedPeers()))
    assert finding(verdict, "certificate").saw == "no certificate is requested on a client port"


@pytest.mark.parametrize(
    ("presented", "saw"),
    [
        ((), "no certificate"),
        ((b"nonsense",), "it is damaged"),
    ],
)
def test_certificate_has_to_be_there_and_readable(net: Network, presented: tuple[bytes, ...], saw: str) -> None:
    verdict = verdict_on(None, net.policy(), presented=presented)
    assert saw in finding(verdict, "certificate").saw


def test_chain_with_more_certificates_than_any_path_is_malformed(net: Network) -> None:
    shown = net.fe2_certificate()
    filler = tuple(net.forge.server(net.ours, f"x{n}.test").presented[0] for n in range(chain.PRESENTED + 1))
    at_limit = verdict_on(shown, net.policy(), presented=(*shown.presented, *filler[: chain.PRESENTED - 1]))
    assert at_limit.accepted
    beyond = verdict_on(shown, net.policy(), presented=(*shown.presented, *filler))
    assert beyond.code is Code.MALFORMED_CERTIFICATE


@pytest.mark.parametrize(("changes", "saw"), [({"ca": True}, "CA:TRUE"), ({}, "an end entity")])
def test_certificate_of_a_ca_is_no_certificate_of_a_server(net: Network, changes: dict[str, Any], saw: str) -> None:
    verdict = verdict_on(net.fe2_certificate(**changes), net.policy())
    assert saw in finding(verdict, "leaf").saw
    assert verdict.accepted is not bool(changes)


def test_weak_key_is_refused_with_its_size(net: Network) -> None:
    verdict = verdict_on(net.fe2_certificate(key=KeyKind.RSA_1024), net.policy())
    assert verdict.code is Code.WEAK_KEY
    assert "RSA key of 1024 bits" in finding(verdict, "key").saw


def test_error_of_openssl_is_a_finding_even_if_our_checks_find_nothing(net: Network) -> None:
    verdict = verdict_on(net.fe2_certificate(), net.policy(), engine_errors=errors(13))
    assert not finding(verdict, "engine").passed
    left = verdict_on(net.fe2_certificate(), net.policy(), engine_errors=errors(26))
    assert finding(left, "engine").saw.endswith("(decided by the sipmesh check)")
    assert left.accepted


@pytest.mark.parametrize(
    ("names", "saw"),
    [
        (("fe9.example.test",), "fe9.example.test is not in the topology; the nearest name is"),
        (("example.test",), "example.test is in the scope of"),
        (("unlike.anything.invalid",), "unlike.anything.invalid is not in the topology"),
    ],
)
def test_unknown_name_is_reported_with_what_is_nearest(net: Network, names: tuple[str, ...], saw: str) -> None:
    verdict = verdict_on(net.forge.server(net.ours, *names), net.policy())
    assert verdict.code is Code.NOT_IN_TOPOLOGY
    assert saw in finding(verdict, "topology").saw
    assert not finding(verdict, "role").judged


def test_identities_of_two_servers_are_ambiguous(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.ours, FE2, EDGE), net.policy())
    assert verdict.code is Code.AMBIGUOUS_IDENTITY
    assert finding(verdict, "topology").saw == f"names of {EDGE}, {FE2}"


def test_certificate_without_a_sip_identity_is_judged_no_further(net: Network) -> None:
    shown = net.forge.forge(Wish(FE2), net.ours, dns=("*.example.test",))
    for policy in (net.policy(), net.opening(net.fe2, FE2)):
        verdict = verdict_on(shown, policy)
        assert verdict.code is Code.NO_SIP_IDENTITY
        assert "*.example.test" in finding(verdict, "identity").saw
        assert not finding(verdict, "topology").judged
    assert not finding(verdict, "name").judged


def test_opened_link_meets_only_the_peer_that_was_meant(net: Network) -> None:
    other = verdict_on(net.fe2_certificate(), net.opening(net.fe1, FE1))
    assert other.code is Code.NAME_MISMATCH
    assert not finding(other, "topology").judged
    unknown = verdict_on(net.fe2_certificate(), net.opening(None, "fe9.example.test"))
    assert unknown.code is Code.NOT_IN_TOPOLOGY
    assert not finding(unknown, "name").judged
    assert verdict_on(net.fe2_certificate(), net.opening(net.fe2, FE2)).accepted


@pytest.mark.parametrize(("blocked", "code"), [("evil.test", Code.PARTNER_BLOCKED), ("vil.test", Code.PARTNER_UNKNOWN)])
def test_block_covers_the_names_below_it(net: Network, blocked: str, code: Code) -> None:
    shown = net.forge.server(net.alpha_ca, "a.b.evil.test")
    assert verdict_on(shown, net.policy(PARTNER, blocked=frozenset({blocked}))).code is code


def test_role_is_refused_by_name(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.ours, BOT), net.policy())
    assert verdict.code is Code.ROLE_NOT_ALLOWED
    assert finding(verdict, "role").saw == f"{BOT}, application"
