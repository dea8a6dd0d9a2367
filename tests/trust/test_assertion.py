"""R10: who may speak for whom, row by row of the table of links."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.trust.assertion import assertion_allowed, from_allowed, judge_sender, may_assert
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence
from sipmesh.trust.judge import judge
from sipmesh.trust.verdict import Code
from trust.network import EDGE, NOON, Network, verdict_on

if TYPE_CHECKING:
    from sipmesh.trust.verdict import Verdict

OURS = frozenset({"example.test"})
SERVER, PARTNER = LinkKind.SERVER, LinkKind.PARTNER


def front_end(net: Network) -> Verdict:
    """The verdict on a link from fe2."""
    return verdict_on(net.fe2_certificate(), net.policy())


def partner(net: Network) -> Verdict:
    """The verdict on a link from partner Alpha."""
    return verdict_on(net.alpha_certificate(), net.policy(PARTNER))


def client(net: Network) -> Verdict:
    """The verdict on a client's link."""
    seen = PeerEvidence(Direction.ACCEPTED, LinkKind.CLIENT, ("192.0.2.9", 4000), ("192.0.2.1", 5061))
    return judge(seen, net.policy(LinkKind.CLIENT), at=NOON)


@pytest.mark.parametrize(
    ("domain", "allowed"),
    [("example.test", True), ("EXAMPLE.test", True), ("sales.example.test", False), ("alpha.test", False), ("", False)],
)
def test_a_front_end_asserts_users_of_our_domains(net: Network, domain: str, *, allowed: bool) -> None:
    finding = assertion_allowed(front_end(net), SERVER, domain, OURS)
    assert finding.passed is allowed
    assert finding.code is (None if allowed else Code.ASSERTION_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("domain", "allowed"), [("alpha.test", True), ("alpha2.test", True), ("beta.test", False), ("example.test", False)]
)
def test_a_partner_asserts_and_sends_for_its_own_domains(net: Network, domain: str, *, allowed: bool) -> None:
    assert assertion_allowed(partner(net), PARTNER, domain, OURS).passed is allowed
    assert from_allowed(partner(net), domain, OURS).passed is allowed


def test_a_partner_never_speaks_for_us_whatever_the_topology_says(net: Network) -> None:
    peers = net.swapped(net.alpha, asserts=frozenset({"alpha.test", "example.test"}))
    verdict = verdict_on(net.alpha_certificate(), net.policy(PARTNER, peers=peers))
    assert verdict.accepted
    assert "which is ours" in assertion_allowed(verdict, PARTNER, "example.test", OURS).saw
    assert from_allowed(verdict, "example.test", OURS).code is Code.FROM_NOT_ALLOWED


def test_a_client_asserts_nobody(net: Network) -> None:
    assert not assertion_allowed(client(net), LinkKind.CLIENT, "example.test", OURS).passed
    assert not from_allowed(client(net), "example.test", OURS).passed


def test_an_application_asserts_nobody_by_default(net: Network) -> None:
    assert not may_assert(net.bot, "example.test")
    assert may_assert(replace(net.bot, asserts=OURS), "example.test")


def test_an_edge_asserts_the_domains_of_partners_and_not_ours(net: Network) -> None:
    peers = net.swapped(net.edge, asserts=frozenset({"alpha.test"}))
    verdict = verdict_on(net.forge.server(net.ours, EDGE), net.policy(peers=peers))
    assert assertion_allowed(verdict, SERVER, "alpha.test", OURS).passed
    assert not assertion_allowed(verdict, SERVER, "example.test", OURS).passed


def test_a_refused_peer_asserts_nobody(net: Network) -> None:
    refused = replace(front_end(net), code=Code.REVOKED)
    assert not assertion_allowed(refused, SERVER, "example.test", OURS).passed
    assert not from_allowed(verdict_on(None, net.policy(), failure=HandshakeFailure("not-tls", "")), "x", OURS).passed


def test_the_from_of_a_server_of_ours_is_judged_by_its_assertion(net: Network) -> None:
    """It carries what partners say as well, so its From may be of any domain."""
    assert from_allowed(front_end(net), "alpha.test", OURS).passed


def test_a_sender_is_judged_by_everything_it_says(net: Network) -> None:
    said = judge_sender(
        partner(net), from_domain="alpha.test", asserted=["alpha.test", "example.test"], our_domains=OURS
    )
    assert [(one.check, one.passed) for one in said] == [("from", True), ("assertion", True), ("assertion", False)]
