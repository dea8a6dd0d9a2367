"""Four organisations for the tests of trust: Example (ours) and three partners, each with its own CA.

Gamma's CA is limited to ``gamma.test`` by DNS and URI constraints, which the second engine cannot read.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from sipmesh.demo.cast import device_authority
from sipmesh.demo.forge import CLIENT_AUTH, Forge, Forged, Wish
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import Direction, EngineError, LinkKind, PeerEvidence
from sipmesh.trust.finding import Finding
from sipmesh.trust.judgement.judge import Judge, judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.verdict import Verdict
from sipmesh.trust.x509.device_identity import DEVICE_POLICY

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FE1, FE2, EDGE, BOT = "fe1.example.test", "fe2.example.test", "edge1.example.test", "bot.example.test"
FE_NAMES = ("pool1.example.test", "example.test")
ALPHA, BETA, GAMMA = "alpha.test", "sip.beta.test", "gamma.test"

EXPIRED, SELF_SIGNED, NO_ISSUER, USAGE = 10, 18, 20, 26  # X509_V_ERR_* that the tests hand in


DEVICES = x509.CertificatePolicies([x509.PolicyInformation(DEVICE_POLICY, None)])


def errors(*codes: int, depth: int = 0) -> tuple[EngineError, ...]:
    """OpenSSL errors with these numbers, all at one depth."""
    return tuple(EngineError(depth, code, f"error {code}") for code in codes)


class Network:
    """The CAs, the topology's entries and the policies of our front end fe1 and our edge."""

    def __init__(self) -> None:
        self.forge = Forge(NOON)
        self.ours = self.forge.organisation("Example")
        assert self.ours.issuer is not None
        self.loose_ca = self.forge.authority("Loose CA", self.ours.issuer, with_key_usage=False)
        self.alpha_ca = self.forge.organisation("Alpha")
        self.beta_ca = self.forge.organisation("Beta")
        limits = (x509.DNSName(GAMMA), x509.UniformResourceIdentifier(GAMMA))
        self.gamma_ca = self.forge.organisation("Gamma", permitted=limits)
        self.gamma_sub = self.forge.authority("Gamma sub CA", self.gamma_ca)  # one more than its path length allows
        self.stranger = self.forge.organisation("Stranger")
        self.devices = device_authority(self.forge, self.ours.issuer, "example.test")
        enterprise = self.authority("Example", self.ours, below=self.devices)
        self.alpha = _partner(ALPHA, {ALPHA, "alpha2.test"}, self.authority("Alpha", self.alpha_ca))
        self.beta = _partner(BETA, {BETA, "beta.test"}, self.authority("Beta", self.beta_ca))
        self.gamma = _partner(
            GAMMA, {GAMMA, "delta.test"}, self.authority("Gamma", self.gamma_ca, below=self.gamma_sub)
        )
        self.fe2 = _server(FE2, Role.FRONT_END, FE_NAMES, enterprise)
        self.edge = _server(EDGE, Role.EDGE, ("sip.example.test", "example.test"), enterprise)
        self.bot = _server(BOT, Role.APPLICATION, (), enterprise)
        self.fe1 = _server(FE1, Role.FRONT_END, FE_NAMES, enterprise)
        self.entries = (self.fe1, self.fe2, self.edge, self.bot, self.alpha, self.beta, self.gamma)

    def authority(self, name: str, issuing: Forged, *revoked: Forged, below: Forged | None = None) -> Authority:
        """An authority with its root as anchor, and with fresh lists of root, issuing CA and what is *below* it."""
        assert issuing.issuer is not None
        lists = [
            RevocationList.load(self.forge.revocations(issuing.issuer)),
            RevocationList.load(self.forge.revocations(issuing, revoked)),
            *([RevocationList.load(self.forge.revocations(below))] if below else []),
        ]
        return Authority(name, (issuing.issuer.certificate,), RevocationLists(lists))

    def policy(self, kind: LinkKind = LinkKind.SERVER, **changes: Any) -> LinkPolicy:
        """What fe1 accepts on its server port, or the edge on its partner port."""
        peers = TrustedPeers(self.entries)
        partner = kind is LinkKind.PARTNER
        allowed = frozenset({ALPHA, BETA, GAMMA} if partner else {FE2, EDGE})
        policy = LinkPolicy(kind, EDGE if partner else FE1, allowed, peers, frozenset({"evil.test"}))
        return replace(policy, **changes)

    def opening(self, meant: TrustedPeer | None, meant_name: str, **changes: Any) -> LinkPolicy:
        """What we expect of a link that we open to *meant_name*."""
        kind = LinkKind.PARTNER if meant and meant.role is None else LinkKind.SERVER
        return self.policy(kind, meant=meant, meant_name=meant_name, **changes)

    def swapped(self, entry: TrustedPeer, **changes: Any) -> TrustedPeers:
        """The peers of a policy with one entry changed."""
        return TrustedPeers(replace(held, **changes) if held == entry else held for held in self.entries)

    def fe2_certificate(self, **changes: Any) -> Forged:
        """A valid certificate of fe2 with *changes*."""
        return self.forge.server(self.ours, FE2, *FE_NAMES, **changes)

    def device(self, user: str = "alice", **changes: Any) -> Forged:
        """The certificate of a device of *user*, with *changes*."""
        uris = (f"sip:{user}@example.test", "sipmesh-device:desk")
        wish = Wish(f"{user}@example.test desk", uris=uris, usages=(CLIENT_AUTH,), extra=(DEVICES,))
        return self.forge.forge(wish, self.devices, **changes)

    def gamma_certificate(self, issuer: Forged | None = None, **changes: Any) -> Forged:
        """A valid certificate of partner Gamma with *issuer* and *changes*."""
        return self.forge.server(issuer or self.gamma_ca, GAMMA, **changes)

    def alpha_certificate(self, *more: str, **changes: Any) -> Forged:
        """A valid certificate of partner Alpha with *more* names and *changes*."""
        return self.forge.server(self.alpha_ca, ALPHA, *more, **changes)


def _partner(name: str, names: set[str], authority: Authority) -> TrustedPeer:
    domains = frozenset(names - {"sip.beta.test"})
    return TrustedPeer(name, None, None, frozenset(names), frozenset(names), domains, authority)


def _server(name: str, role: Role, more: tuple[str, ...], authority: Authority) -> TrustedPeer:
    asserts = frozenset({"example.test"} if role is Role.FRONT_END else ())
    return TrustedPeer(name, role, "pool", frozenset({name, *more}), frozenset({name}), asserts, authority)


def evidence(shown: Forged | None, policy: LinkPolicy | Judge, **changes: Any) -> PeerEvidence:
    """What a link knows whose peer showed the chain of *shown*, at the end of the link that *policy* is for."""
    policy = policy.policy if isinstance(policy, Judge) else policy
    direction = Direction.OPENED if policy.meant_name else Direction.ACCEPTED
    presented = shown.presented if shown else ()
    told = PeerEvidence(direction, policy.kind, ("192.0.2.7", 5062), ("192.0.2.1", 5062), presented)
    return replace(told, **changes)


def verdict_on(
    shown: Forged | None, policy: LinkPolicy | Judge, *, after: timedelta = timedelta(0), **changes: Any
) -> Verdict:
    """Judge the chain of *shown* under *policy*, *after* noon."""
    told = evidence(shown, policy, **changes)
    if isinstance(policy, Judge):
        return policy.judge(told, at=NOON + after)
    return judge(told, policy, at=NOON + after)


def finding(verdict: Verdict, check: str) -> Finding:
    """The one finding of *check*."""
    (found,) = [held for held in verdict.findings if held.check == check]
    return found
