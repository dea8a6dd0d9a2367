"""Verdicts on trunks that have no certificate, and are challenged on their own port."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import HandshakeFailure, LinkKind
from sipmesh.trust.policy import LinkPolicy
from trust.network import ALPHA, Network, verdict_on

NETWORKS = (ip_network("192.0.2.0/29"), ip_network("2001:db8::/32"))


def challenging(net: Network) -> LinkPolicy:
    """The policy of the port of Alpha, which has no certificate."""
    return net.policy(LinkKind.PARTNER, may_open=frozenset({ALPHA}), challenged=net.alpha, networks=NETWORKS)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::1"])
def test_trunk_is_accepted_from_its_networks_and_found_by_no_name(net: Network, address: str) -> None:
    """No request of ours is sent on such a link: it is not known by the name of the trunk."""
    verdict = verdict_on(None, challenging(net), remote=(address, 5061))
    assert (verdict.code, verdict.subject) == (Code.ACCEPTED, f"{ALPHA} by digest")
    assert verdict.peer is net.alpha
    assert not verdict.proved & net.alpha.identity


@pytest.mark.parametrize("address", ["192.0.2.8", "198.51.100.7", "2001:db9::1", "::ffff:192.0.2.7"])
def test_trunk_is_refused_from_another_address(net: Network, address: str) -> None:
    verdict = verdict_on(None, challenging(net), remote=(address, 5061))
    assert verdict.code is Code.PARTNER_UNKNOWN
    assert verdict.remedies


def test_link_from_the_time_of_certificates_ends(net: Network) -> None:
    assert verdict_on(net.alpha_certificate(), challenging(net)).code is Code.ROLE_NOT_ALLOWED
    assert verdict_on(net.alpha_certificate(), net.policy(LinkKind.PARTNER)).accepted


def test_verdict_says_why_the_handshake_failed(net: Network) -> None:
    failed = HandshakeFailure("protocol-too-old", "TLS 1.1")
    assert verdict_on(None, challenging(net), failure=failed).code is Code.PROTOCOL_TOO_OLD


def test_without_a_challenge_no_peer_is_accepted_without_a_certificate(net: Network) -> None:
    assert not verdict_on(None, net.policy(LinkKind.PARTNER)).accepted
