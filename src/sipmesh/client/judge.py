"""The verdict on the server of a client link (RFC 5922 7.4): chain, name, validity, usage, key, revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.finding import Finding
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.judgement.priority import choose
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.verdict import Verdict

NOT_ASKED = "not asked: this client was given no CRLs"


@dataclass(frozen=True, slots=True)
class Trust:
    """What a client trusts: *anchors*, and the CRLs of their authorities, *lists*.

    With *lists* None (which is not an empty set) the client checks no revocation, as phones do; the verdict says so.
    """

    anchors: tuple[x509.Certificate, ...]
    lists: RevocationLists | None

    @classmethod
    def of_pem(cls, pem: bytes, lists: RevocationLists | None = None) -> Trust:
        """Trust the certificates in *pem*; raises ValueError if there is none."""
        return cls(tuple(x509.load_pem_x509_certificates(pem)), lists)


def judge_server(evidence: PeerEvidence, names: Sequence[str], trust: Trust, *, at: datetime) -> Verdict:
    """Return the verdict on whether the server is the intended server.

    *names* are the reference names, at least one: the SIP domain first, then the server's own name if the user gave one
    (RFC 5922 4: never a name that DNS returned). One of the names has to be proved. The verdict is for the proved name; if
    no name is proved, it is for the first one.
    """
    verdicts = (_judge_as(evidence, name.lower(), trust, at) for name in names)
    first = next(verdicts)
    if first.accepted or first.code is not Code.NAME_MISMATCH:
        return first
    return next((verdict for verdict in verdicts if verdict.accepted), first)


def _judge_as(evidence: PeerEvidence, name: str, trust: Trust, at: datetime) -> Verdict:
    policy = _policy(name, trust)
    verdict = judge(evidence, policy, at=at)
    return verdict if trust.lists is not None else _without_lists(verdict, policy)


def _policy(name: str, trust: Trust) -> LinkPolicy:
    """Return a policy that accepts only *name*: a client has no topology."""
    names = frozenset({name})
    peer = TrustedPeer(
        name=name,
        role=None,
        pool=None,
        names=names,
        identity=names,
        asserts=frozenset(),
        authority=Authority("the anchors given", trust.anchors, trust.lists or RevocationLists()),
    )
    return LinkPolicy(LinkKind.CLIENT, "this client", names, TrustedPeers((peer,)), meant=peer, meant_name=name)


def _without_lists(verdict: Verdict, policy: LinkPolicy) -> Verdict:
    """Return the verdict without the revocation check; its finding says that no CRL was given."""
    findings = tuple(_not_asked(finding) for finding in verdict.findings)
    code = choose(findings)
    if code is not Code.ACCEPTED:
        return replace(verdict, findings=findings, code=code)
    proved = frozenset({policy.meant_name})  # the name check has passed: otherwise the verdict would not accept
    return replace(
        verdict,
        subject=policy.meant_name,
        code=code,
        findings=findings,
        remedies=(),
        peer=policy.meant,
        proved=proved,
    )


def _not_asked(finding: Finding) -> Finding:
    unknown = finding.code is Code.REVOCATION_UNKNOWN
    return replace(finding, passed=True, saw=NOT_ASKED, code=None) if unknown else finding
