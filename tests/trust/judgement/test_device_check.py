"""Clients that present a certificate: which checks run, and what is known of them afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.demo.cast import device_authority
from sipmesh.demo.forge import CLIENT_AUTH, Forged, Wish
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.checks import CLIENT_CHECKS, DEVICE_CHECKS
from sipmesh.trust.judgement.judge import Judge, judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import ClientAuth
from sipmesh.trust.verdict import Verdict
from sipmesh.trust.x509.device_identity import DeviceIdentity
from trust.network import DEVICES, NOON, Network

DESK = ("sip:alice@example.test", "sipmesh-device:desk")


def policy(net: Network, asks: ClientAuth = ClientAuth.EITHER, devices: Authority | None = None) -> LinkPolicy:
    held = net.authority("Example", net.ours, below=net.devices)
    authority = devices or replace(held, devices=(net.devices.certificate,))
    domains = frozenset({"example.test"})
    return replace(net.policy(), kind=LinkKind.CLIENT, client_auth=asks, devices=authority, domains=domains)


def of_client(shown: Forged | None) -> PeerEvidence:
    presented = shown.presented if shown is not None else ()
    return PeerEvidence(Direction.ACCEPTED, LinkKind.CLIENT, ("127.0.0.1", 9), ("127.0.0.1", 5061), presented)


def verdict_on(shown: Forged | None, by: LinkPolicy) -> Verdict:
    return judge(of_client(shown), by, at=NOON)


@pytest.mark.parametrize("asks", [ClientAuth.EITHER, ClientAuth.CERTIFICATE])
def test_device_is_accepted_as_that_of_its_user(net: Network, asks: ClientAuth) -> None:
    verdict = verdict_on(net.device(), policy(net, asks))
    assert (verdict.code, verdict.device) == (Code.ACCEPTED, DeviceIdentity("sip:alice@example.test", "desk"))
    assert [finding.check for finding in verdict.findings] == list(DEVICE_CHECKS)
    assert len(verdict.relied_on) == 3
    assert verdict.peer is None
    assert verdict.proved == frozenset()


def test_client_without_a_certificate_may_have_a_password(net: Network) -> None:
    either = verdict_on(None, policy(net))
    assert (either.accepted, either.device, len(either.findings)) == (True, None, len(CLIENT_CHECKS))
    assert verdict_on(None, policy(net, ClientAuth.CERTIFICATE)).code is Code.NO_CERTIFICATE


def test_certificate_does_not_count_where_none_is_asked_for(net: Network) -> None:
    assert verdict_on(None, net.policy(LinkKind.CLIENT)).accepted
    assert verdict_on(net.device(), net.policy(LinkKind.CLIENT)).code is Code.NOT_A_DEVICE


def test_topology_names_the_ca_and_the_device_may_leave_it_out(net: Network) -> None:
    alone = Forged(net.device().certificate, net.device().key, net.ours.issuer)
    known = net.authority("Example", net.ours, below=net.devices)
    assert verdict_on(net.device(), policy(net, devices=known)).code is Code.NOT_A_DEVICE
    assert verdict_on(alone, policy(net, devices=known)).code is Code.UNTRUSTED_ISSUER
    known = replace(known, devices=(net.devices.certificate,))
    assert verdict_on(alone, policy(net, devices=known)).accepted


def test_device_without_a_crl_of_its_ca_is_refused(net: Network) -> None:
    named = (net.devices.certificate,)
    lacking = Authority("Example", net.fe2.authority.anchors, RevocationLists(), devices=named)
    verdict = verdict_on(net.device(), policy(net, devices=lacking))
    assert verdict.code is Code.REVOCATION_UNKNOWN
    assert "sipmesh ca devices" in verdict.remedies[0]


def test_other_ca_with_the_same_marks_is_not_named(net: Network) -> None:
    """Our root has signed it, such as before a key was lost; the topology names another one."""
    assert net.ours.issuer is not None
    other = device_authority(net.forge, net.ours.issuer, "example.test")
    shown = net.forge.forge(Wish("desk", uris=DESK, usages=(CLIENT_AUTH,), extra=(DEVICES,)), other)
    assert verdict_on(shown, policy(net)).code is Code.NOT_A_DEVICE


def test_new_certificate_of_the_ca_has_its_key(net: Network) -> None:
    """For a further SIP domain. Devices present the earlier one, and servers may have the earlier version."""
    assert net.ours.issuer is not None
    again = device_authority(net.forge, net.ours.issuer, "example.test", reuse=net.devices.key)
    shown = Forged(net.device().certificate, net.device().key, again)
    assert verdict_on(shown, policy(net)).accepted


@pytest.mark.parametrize("domain", ["example.test", "other.test"])
def test_user_is_of_a_domain_of_the_topology(net: Network, domain: str) -> None:
    """The CA may have been certified for a domain that was removed since."""
    by = replace(policy(net), domains=frozenset({domain}))
    code = Code.ACCEPTED if domain == "example.test" else Code.NOT_A_DEVICE
    assert verdict_on(net.device(), by).code is code


def test_second_handshake_of_a_device_is_judged_from_the_cache(net: Network) -> None:
    judging, seen = Judge(policy(net)), of_client(net.device())
    first, second = (judging.judge(seen, at=NOON) for _ in range(2))
    assert (len(judging.cache), second.device) == (1, first.device)
    assert second.accepted


@pytest.mark.parametrize(
    "code",
    [
        Code.NO_CERTIFICATE,
        Code.NOT_A_DEVICE,
        Code.UNTRUSTED_ISSUER,
        Code.EXPIRED,
        Code.NOT_YET_VALID,
        Code.REVOKED,
        Code.REVOCATION_UNKNOWN,
        Code.WRONG_USAGE,
        Code.ISSUER_NOT_FOR_THIS_NAME,
    ],
)
def test_remedy_is_for_a_device_and_not_for_a_server(net: Network, code: Code) -> None:
    from sipmesh.trust.judgement.evaluation import Evaluation
    from sipmesh.trust.judgement.remedy import remedies

    by = policy(net)
    told = remedies(code, Evaluation(of_client(net.device()), by, NOON))
    assert 1 <= len(told) <= 2
    assert all(line.endswith(".") for line in told)
    assert not any("server" in line and "sipmesh ca issue" in line and "--user" not in line for line in told)
