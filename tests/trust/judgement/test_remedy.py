"""Every refusal says what to do, in the words of the side that can do it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sipmesh.demo.forge import SERVER_AUTH
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.priority import PRIORITY
from sipmesh.trust.judgement.remedy import remedies
from sipmesh.trust.revocation.crl import RevocationLists, RevocationSource
from trust.network import ALPHA, FE2, NOON, Network, evidence, verdict_on

PARTNER = LinkKind.PARTNER


@pytest.mark.parametrize("code", PRIORITY)
def test_every_refusal_has_one_or_two_remedies(net: Network, code: Code) -> None:
    for policy in (net.policy(), net.policy(PARTNER), net.opening(net.alpha, ALPHA)):
        told = remedies(code, Evaluation(evidence(net.alpha_certificate(), policy), policy, NOON))
        assert 1 <= len(told) <= 2
        assert all(line.endswith(".") for line in told)


def test_an_acceptance_needs_none(net: Network) -> None:
    policy = net.policy()
    assert remedies(Code.ACCEPTED, Evaluation(evidence(None, policy), policy, NOON)) == ()


def test_our_own_server_is_mended_by_our_own_ca_and_a_partner_by_itself(net: Network) -> None:
    day = timedelta(days=1)
    ours = verdict_on(net.fe2_certificate(ends=-day), net.policy())
    theirs = verdict_on(net.alpha_certificate(ends=-day), net.policy(PARTNER))
    assert "sipmesh ca issue fe2.example.test" in ours.remedies[0]
    assert "Ask the partner" in theirs.remedies[0]


def test_a_partner_whose_ca_gives_no_client_auth_is_told_of_the_setting(net: Network) -> None:
    verdict = verdict_on(net.alpha_certificate(usages=(SERVER_AUTH,)), net.policy(PARTNER))
    assert any("client_usage: server-ok" in line for line in verdict.remedies)


def test_a_name_signed_by_the_wrong_ca_names_that_ca(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.alpha_ca, FE2), net.policy())
    assert "the CA of Alpha" in verdict.remedies[0]


def test_where_answers_are_asked_for_the_responder_is_named(net: Network) -> None:
    held = net.alpha.authority
    authority = Authority(held.name, held.anchors, RevocationLists(), source=RevocationSource.ANSWERS)
    policy = net.policy(PARTNER, peers=net.swapped(net.alpha, authority=authority))
    verdict = verdict_on(net.alpha_certificate(), policy)
    assert verdict.code is Code.REVOCATION_UNKNOWN
    assert "OCSP responders of Alpha" in verdict.remedies[0]


@pytest.mark.parametrize("code", PRIORITY)
def test_a_client_is_told_nothing_that_only_an_operator_can_do(net: Network, code: Code) -> None:
    """Its user has no CA: above all where --ca names another root than the server's."""
    policy = net.opening(net.alpha, ALPHA)
    client = replace(policy, kind=LinkKind.CLIENT)
    told = remedies(code, Evaluation(evidence(net.alpha_certificate(), client), client, NOON))
    assert not any("sipmesh ca" in line for line in told), told
    if code is Code.UNTRUSTED_ISSUER:
        assert "--ca" in told[0]
