"""Which usages a certificate and its issuers need for its side of the handshake."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, SIP_DOMAIN
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.role import ClientUsage
from trust.network import ALPHA, FE2, Network, finding, verdict_on

CODE_SIGNING, ANY = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
PARTNER = LinkKind.PARTNER
SERVER_OK = ClientUsage.SERVER_OK


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


def test_key_that_may_not_sign_handshakes_is_refused(net: Network) -> None:
    shown = net.fe2_certificate(digital_signature=False)
    assert finding(verdict_on(shown, net.policy()), "usage").saw == "the key usage lacks digitalSignature"
