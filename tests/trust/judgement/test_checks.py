"""Single checks, for which one row of a table decides. Whole verdicts are in test_judge."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, SIP_DOMAIN
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.trusted_peers import TrustedPeers
from trust.network import ALPHA, BETA, FE2, GAMMA, Network, finding, verdict_on

if TYPE_CHECKING:
    from sipmesh.trust.policy import LinkPolicy

CODE_SIGNING, ANY = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
PARTNER = LinkKind.PARTNER
STRICT, SERVER_OK = ClientUsage.STRICT, ClientUsage.SERVER_OK
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("usages", "opened", "strict", "server_ok"),
    [
        # what the certificate allows; whether it may serve us, call us strictly, call us where server-ok is agreed
        ((), True, True, True),
        ((SERVER_AUTH, CLIENT_AUTH), True, True, True),
        ((CLIENT_AUTH,), False, True, True),
        ((SERVER_AUTH,), True, False, True),
        ((SIP_DOMAIN,), True, True, True),
        ((SIP_DOMAIN, SERVER_AUTH), True, True, True),
        ((ANY,), True, True, True),
        ((CODE_SIGNING,), False, False, False),
        ((CODE_SIGNING, SERVER_AUTH), True, False, True),
    ],
)
def test_required_usage_depends_on_the_peers_side(
    net: Network,
    usages: tuple[x509.ObjectIdentifier, ...],
    *,
    opened: bool,
    strict: bool,
    server_ok: bool,
) -> None:
    """Peers.md section 6: the standard library refuses half of these; here the partner's entry decides."""
    shown = net.alpha_certificate(usages=usages)
    policies: list[tuple[LinkPolicy, bool]] = [
        (net.opening(net.alpha, ALPHA), opened),
        (net.policy(PARTNER), strict),
        (net.policy(PARTNER, peers=net.swapped(net.alpha, client_usage=SERVER_OK)), server_ok),
    ]
    for policy, expected in policies:
        verdict = verdict_on(shown, policy)
        assert verdict.accepted is expected
        assert verdict.code is (Code.ACCEPTED if expected else Code.WRONG_USAGE)


@pytest.mark.parametrize(("usages", "accepted"), [((), True), ((CLIENT_AUTH,), True), ((SERVER_AUTH,), False)])
def test_an_issuer_that_is_limited_in_usage_limits_its_leaves(
    net: Network, usages: tuple[x509.ObjectIdentifier, ...], *, accepted: bool
) -> None:
    assert net.ours.issuer is not None
    limited = net.forge.authority("Limited CA", net.ours.issuer, usages=usages)
    policy = net.policy(peers=net.swapped(net.fe2, authority=net.authority("Example", limited)))
    verdict = verdict_on(net.forge.server(limited, FE2), policy)
    assert verdict.code is (Code.ACCEPTED if accepted else Code.WRONG_USAGE)


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
