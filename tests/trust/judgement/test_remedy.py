"""Every refusal says what to do, in the words of the side that can do it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sipmesh.demo.forge import SERVER_AUTH
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import HandshakeFailure, LinkKind
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.priority import PRIORITY
from sipmesh.trust.judgement.remedy import remedies
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.revocation_source import RevocationSource
from trust.network import ALPHA, EDGE, FE1, FE2, NOON, Network, evidence, verdict_on

PARTNER = LinkKind.PARTNER


@pytest.mark.parametrize("code", PRIORITY)
def test_every_refusal_has_one_or_two_remedies(net: Network, code: Code) -> None:
    for policy in (net.policy(), net.policy(PARTNER), net.opening(net.alpha, ALPHA)):
        told = remedies(code, Evaluation(evidence(net.alpha_certificate(), policy), policy, NOON))
        assert 1 <= len(told) <= 2
        assert all(line.endswith(".") for line in told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the peer sent the alert 'unknown ca'", "It has blocked us"),
        ("the peer sent the alert 'certificate expired'", "Compare the clocks"),
        ("the peer sent the alert 'unsupported certificate'", "such as clientAuth"),
        ("the peer sent the alert 'handshake failure'", "Check that its topology has our name"),
        ("it closed the connection", "Check that its topology has our name"),
    ],
)
def test_alert_of_a_peer_that_refuses_us_is_explained(net: Network, text: str, said: str) -> None:
    policy = net.opening(net.alpha, ALPHA)
    refused = replace(evidence(net.alpha_certificate(), policy), failure=HandshakeFailure("refused-by-peer", text))
    first, meant = remedies(Code.REFUSED_BY_PEER, Evaluation(refused, policy, NOON))
    assert "the SHA-256 of our certificate" in first
    assert said in meant


def test_an_acceptance_needs_none(net: Network) -> None:
    policy = net.policy()
    assert remedies(Code.ACCEPTED, Evaluation(evidence(None, policy), policy, NOON)) == ()


def test_remedy_is_our_ca_for_our_server_and_the_partner_for_its_own(net: Network) -> None:
    day = timedelta(days=1)
    ours = verdict_on(net.fe2_certificate(ends=-day), net.policy())
    theirs = verdict_on(net.alpha_certificate(ends=-day), net.policy(PARTNER))
    assert "sipmesh ca issue fe2.example.test" in ours.remedies[0]
    assert "ask the partner" in theirs.remedies[0]
    assert {ours.remedies[1], theirs.remedies[1]} == {
        f"If not, set the clock of {here}, for example by NTP." for here in (FE1, EDGE)
    }


def test_certificate_that_is_not_valid_yet_asks_for_the_clock_before_a_new_one(net: Network) -> None:
    ours = verdict_on(net.fe2_certificate(begins=timedelta(days=1)), net.policy())
    theirs = verdict_on(net.alpha_certificate(begins=timedelta(days=1)), net.policy(PARTNER))
    assert (ours.code, theirs.code) == (Code.NOT_YET_VALID, Code.NOT_YET_VALID)
    assert ours.remedies[0] == f"Set the clock of {FE1}, for example by NTP."
    assert ours.remedies[1].endswith(f"and then: sipmesh ca issue {FE2}.")
    assert "ask the partner" in theirs.remedies[1]


def test_remedy_names_client_usage_for_a_partner_without_client_auth(net: Network) -> None:
    verdict = verdict_on(net.alpha_certificate(usages=(SERVER_AUTH,)), net.policy(PARTNER))
    assert any("client_usage: server-ok" in line for line in verdict.remedies)


def test_remedy_names_the_wrong_ca(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.alpha_ca, FE2), net.policy())
    assert "the CA of Alpha" in verdict.remedies[0]


def test_remedy_names_the_ocsp_responder(net: Network) -> None:
    held = net.alpha.authority
    authority = Authority(held.name, held.anchors, RevocationLists(), source=RevocationSource.ANSWERS)
    policy = net.policy(PARTNER, peers=net.swapped(net.alpha, authority=authority))
    verdict = verdict_on(net.alpha_certificate(), policy)
    assert verdict.code is Code.REVOCATION_UNKNOWN
    assert "OCSP responders of Alpha" in verdict.remedies[0]


@pytest.mark.parametrize("code", PRIORITY)
def test_remedy_of_a_client_needs_no_operator(net: Network, code: Code) -> None:
    """Its user has no CA: above all where --ca names another root than the server's."""
    policy = net.opening(net.alpha, ALPHA)
    client = replace(policy, kind=LinkKind.CLIENT)
    told = remedies(code, Evaluation(evidence(net.alpha_certificate(), client), client, NOON))
    assert not any("sipmesh ca" in line for line in told), told
    if code is Code.UNTRUSTED_ISSUER:
        assert "--ca" in told[0]


def test_stranger_at_a_server_port_is_not_to_be_given_a_certificate(net: Network) -> None:
    """The control says that it is a server of ours: an operator finds out what it is, before issuing a certificate."""
    stranger, claimed = (
        verdict_on(net.forge.server(net.stranger, name), net.policy()) for name in ("stranger.test", FE2)
    )
    assert stranger.code is claimed.code is Code.UNTRUSTED_ISSUER
    assert stranger.remedies[0].startswith("This is no server of ours: find out which program at 192.0.2.7")
    assert "Do not issue a certificate" in stranger.remedies[1]
    assert "ca issue" not in " ".join(stranger.remedies)
    assert claimed.remedies[0].startswith("Find out what runs at 192.0.2.7")
    assert f"sipmesh ca issue {FE2}" in claimed.remedies[1]


def test_blocked_partner_can_be_unblocked_by_the_blocked_name(net: Network) -> None:
    [remedy] = verdict_on(net.alpha_certificate(), net.policy(PARTNER, blocked=frozenset({ALPHA}))).remedies
    assert f"sipmesh partner unblock {ALPHA}." in remedy


def test_other_root_of_a_partner_that_we_have_is_not_told_to_be_added_as_of_a_new_partner(net: Network) -> None:
    """The control is a name that is in no entry."""
    stranger = net.forge.root("stranger")
    dialled = verdict_on(net.forge.server(stranger, ALPHA), net.opening(net.alpha, ALPHA))
    came = verdict_on(net.forge.server(stranger, ALPHA), net.policy(PARTNER))
    for verdict in (dialled, came):
        assert verdict.code is Code.UNTRUSTED_ISSUER
        assert f"sipmesh partner change {net.alpha.name} anchors=[FILE]" in verdict.remedies[0]
    unknown = verdict_on(net.forge.server(stranger, "unknown.test"), net.policy(PARTNER))
    assert "sipmesh partner add unknown.test" in unknown.remedies[0]
