"""OpenSSL's path check on a chain without a handshake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, KeyKind, Wish
from sipmesh.transport.tls.path_check import _too_weak, path_errors, recheck_path
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import Direction, EngineError, HandshakeFailure, LinkKind, PeerEvidence
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FORGE = Forge(NOON)
BAD_SIGNATURE, EXPIRED, NO_USAGE, SHORT_KEY = 7, 10, 26, 67
ISSUER = FORGE.organisation("Example")
ROOT = ISSUER.issuer
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def codes(at: datetime = NOON) -> list[int]:
    assert ROOT is not None
    chain = FORGE.server(ISSUER, "fe1.example.test").chain
    return [one.code for one in path_errors(chain, [ROOT.certificate], at)]


def test_chain_to_an_anchor_has_no_error() -> None:
    assert codes() == []


def test_chain_to_an_unknown_anchor_has_an_error() -> None:
    stranger = FORGE.organisation("Stranger")
    assert stranger.issuer is not None
    (error,) = path_errors(FORGE.server(ISSUER, "fe1.example.test").chain, [stranger.issuer.certificate], NOON)
    assert error.code == 20
    assert "unable to get local issuer" in error.text
    (alone,) = path_errors(FORGE.server(ISSUER, "fe1.example.test").chain, [], NOON)
    assert alone.code == 20


@pytest.mark.parametrize(("after", "code"), [(30 * DAY - SECOND, None), (30 * DAY + SECOND, 10), (-DAY, 9)])
@pytest.mark.parametrize("hours", [0, 9])
def test_check_uses_the_callers_time_in_any_time_zone(after: timedelta, code: int | None, hours: int) -> None:
    assert codes(at=(NOON + after).astimezone(timezone(timedelta(hours=hours)))) == ([code] if code else [])


def partner(domain: str, anchors: tuple[x509.Certificate, ...]) -> TrustedPeer:
    names = frozenset({domain})
    return TrustedPeer(domain, None, None, names, names, names, Authority(domain, anchors, RevocationLists([])))


def evidence(kind: LinkKind, code: int, failure: HandshakeFailure | None = None) -> PeerEvidence:
    """What a handshake has seen of the server sip.partner.test, with one error of OpenSSL."""
    chain = FORGE.server(ISSUER, "sip.partner.test").chain
    presented = tuple(one.public_bytes(Encoding.DER) for one in chain)
    errors = (EngineError(1, code, "as a test wants it"),)
    return PeerEvidence(Direction.ACCEPTED, kind, ("", 0), ("", 0), presented, errors, failure=failure)


def rechecked(seen: PeerEvidence, *peers: TrustedPeer) -> PeerEvidence:
    policy = LinkPolicy(seen.kind, "edge1.example.test", frozenset(one.name for one in peers), TrustedPeers(peers))
    return recheck_path(seen, policy, NOON)


@pytest.mark.parametrize("code", [BAD_SIGNATURE, EXPIRED])
def test_path_of_a_partner_with_an_error_is_checked_again_with_its_own_anchors(code: int) -> None:
    assert ROOT is not None
    stranger = FORGE.organisation("Stranger").issuer
    assert stranger is not None
    seen = evidence(LinkKind.PARTNER, code)
    for anchor, codes in ((ROOT, []), (stranger, [20])):
        again = rechecked(seen, partner("sip.partner.test", (anchor.certificate,)), partner("other.test", ()))
        assert [error.code for error in again.engine_errors] == codes


@pytest.mark.parametrize(
    ("kind", "code", "failure", "names"),
    [
        (LinkKind.SERVER, BAD_SIGNATURE, None, ["sip.partner.test"]),
        (LinkKind.PARTNER, NO_USAGE, None, ["sip.partner.test"]),
        (LinkKind.PARTNER, SHORT_KEY, None, ["sip.partner.test"]),
        (LinkKind.PARTNER, BAD_SIGNATURE, HandshakeFailure("handshake-failed", ""), ["sip.partner.test"]),
        (LinkKind.PARTNER, BAD_SIGNATURE, None, ["other.test"]),
        (LinkKind.PARTNER, BAD_SIGNATURE, None, []),
    ],
    ids=["between our servers", "left to the judge", "short key", "handshake failed", "of no entry", "no entries"],
)
def test_other_evidence_keeps_its_errors(
    kind: LinkKind, code: int, failure: HandshakeFailure | None, names: list[str]
) -> None:
    assert ROOT is not None
    seen = evidence(kind, code, failure)
    assert rechecked(seen, *(partner(name, (ROOT.certificate,)) for name in names)) is seen


@pytest.mark.parametrize(("key", "expected"), [(KeyKind.RSA_1024, [66]), (KeyKind.EC_P256, [])])
def test_short_key_of_the_leaf_is_an_error_as_in_a_handshake(key: KeyKind, expected: list[int]) -> None:
    assert ROOT is not None
    leaf = FORGE.forge(Wish("fe1", names=("fe1.example.test",), key=key), ISSUER)
    assert [one.code for one in path_errors(leaf.chain, [ROOT.certificate], NOON)] == expected


@pytest.mark.parametrize(("key", "expected"), [(KeyKind.RSA_1024, [67]), (KeyKind.RSA_2048, [])])
def test_short_key_of_a_ca_is_an_error_as_in_a_handshake(key: KeyKind, expected: list[int]) -> None:
    assert ROOT is not None
    issuing = FORGE.forge(Wish("issuing", ca=True, key=key, usages=(), ends=timedelta(days=40)), ROOT)
    leaf = FORGE.forge(Wish("fe1", names=("fe1.example.test",)), issuing)
    assert [one.code for one in path_errors(leaf.chain, [ROOT.certificate], NOON)] == expected


OVER_SHA256, OVER_SHA224 = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040301")
"""What a certificate says of its ECDSA signature (RFC 5758 3.2)."""


@pytest.mark.parametrize(("digest", "expected"), [(OVER_SHA224, [68]), (OVER_SHA256, [])])
def test_signature_over_a_weak_hash_is_an_error_and_that_of_the_anchor_is_not_checked(
    digest: bytes, expected: list[int]
) -> None:
    assert ROOT is not None
    chain = *FORGE.server(ISSUER, "fe1.example.test").chain, ROOT.certificate
    said = [one.public_bytes(Encoding.DER).replace(OVER_SHA256, digest) for one in chain]
    path = [x509.load_der_x509_certificate(der) for der in said]
    assert [one.code for one in _too_weak(path)] == expected * (len(path) - 1)
