"""Judge the signer of a document: the checks of the judge on its certificate chain, and the rules for signers.

A signature has no link and no handshake. So the checks of these are left out, and the others are the same as for a peer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, EngineError, LinkKind, PeerEvidence
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_list, tell_subject
from sipmesh.trust.judgement import checks
from sipmesh.trust.judgement.device_check import devices
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.judge import ask
from sipmesh.trust.judgement.priority import choose
from sipmesh.trust.judgement.remedy import remedies
from sipmesh.trust.judgement.usage_check import spell_usages
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.certificate import (
    DOCUMENT_SIGNING,
    UNREADABLE,
    MalformedCertificateError,
    extension,
    read_certificate,
)
from sipmesh.trust.x509.sip_identity import alternative_names, common_names, is_host_name, spell

if TYPE_CHECKING:
    from datetime import datetime

_NOWHERE = ("", 0)
_NO_GRACE = timedelta(0)


@dataclass(frozen=True, slots=True)
class SignerVerdict:
    """The verdict on one signer. *name* is the management server that it signs for; "" if it is refused."""

    code: Code
    findings: tuple[Finding, ...]
    at: datetime
    name: str = ""
    remedies: tuple[str, ...] = ()

    @property
    def is_trusted(self) -> bool:
        """Whether at least one check ran, and all checks passed."""
        return self.code is Code.ACCEPTED and bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of a refusal, one line each; the reason of the code comes first."""
        wrong = [finding for finding in self.findings if not finding.passed]
        wrong.sort(key=lambda finding: (finding.code is not self.code, not finding.judged))
        return tuple(f"{finding.check} wanted {finding.wanted}; saw {finding.saw}" for finding in wrong)

    def __bool__(self) -> NoReturn:
        raise TypeError("ask for .is_trusted")  # a verdict is not always an acceptance


def judge_signer(
    chain: Sequence[bytes],
    authority: Authority,
    managers: Collection[str],
    *,
    at: datetime,
    engine_errors: Sequence[EngineError],
    here: str = "this server",
    grace: timedelta = _NO_GRACE,
    checks_of: Mapping[str, Callable[[Evaluation], Finding | None]] | None = None,
) -> SignerVerdict:
    """Decide at the instant *at* whether the first certificate of *chain* may sign the documents of a network.

    A document with a bad chain is refused, and raises no error. The signer is judged when a new version arrives. The
    document stays in force when the certificate of its signer expires.

    Args:
        chain: DER certificates from the document, the signer's first.
        authority: Our own authority, with its CRLs. No other authority is accepted.
        managers: FQDNs of the management servers, in lower case. If there are none, all signers are refused.
        at: Now, timezone-aware.
        engine_errors: The errors of OpenSSL, the first engine, for the chain (`sipmesh.transport.tls.path_check`).
        here: The server whose clock and CRLs are used. It is named in the remedies.
        grace: How long a CRL is accepted after its next_update.
        checks_of: `CHECKS` by default; see `judge_signer_of_before`.

    Raises:
        ValueError: *at* has no timezone.
    """
    if at.tzinfo is None:
        raise ValueError("the instant of a decision needs a timezone")
    policy = _policy(authority, managers, here, grace)
    evaluation = CaseWithoutLink(tuple(chain), tuple(engine_errors), policy, authority, at)
    return decide(evaluation, checks_of or CHECKS, _ADVICE)


def decide(
    evaluation: Evaluation, checks_of: Mapping[str, Callable[[Evaluation], Finding | None]], advice: Mapping[Code, str]
) -> SignerVerdict:
    """Ask every check of *checks_of*; *advice* has the remedies that differ from those for the peer of a link."""
    table = checks_of if evaluation.leaf is not None else {name: checks_of[name] for name in _WITHOUT_CERTIFICATE}
    found = tuple(finding for check in table.values() if (finding := ask(check, evaluation)) is not None)
    code, at = choose(found), evaluation.at
    if code is Code.ACCEPTED:
        return SignerVerdict(code, found, at, next(iter(evaluation.proved), ""))
    told = (advice[code],) if code in advice else remedies(code, evaluation)
    return SignerVerdict(code, found, at, remedies=told)


def judge_signer_of_before(
    chain: Sequence[bytes], authority: Authority, *, at: datetime, engine_errors: Sequence[EngineError]
) -> SignerVerdict:
    """Decide whether the signer of a document that was accepted before was allowed at the instant *at* of the signature.

    Current CRLs do not tell its status at that time, and its server may no longer be a management server. So these two are not
    checked. All other checks are the same.
    """
    return judge_signer(
        chain, authority, _named_by(chain), at=at, engine_errors=engine_errors, checks_of=_CHECKS_OF_BEFORE
    )


def _named_by(chain: Sequence[bytes]) -> frozenset[str]:
    """Give the DNS names of a signer, in lower case; none if its certificate cannot be read."""
    try:
        names = alternative_names(read_certificate(chain[0])) if chain else ()
    except (MalformedCertificateError, *UNREADABLE):
        return frozenset()
    return frozenset(ascii_lower(entry.value) for entry in names if isinstance(entry, x509.DNSName))


def _policy(authority: Authority, managers: Collection[str], here: str, grace: timedelta) -> LinkPolicy:
    """Make a policy with the management servers as entries. No peer may open a link with it."""
    entries = [
        TrustedPeer(name, Role.MANAGEMENT, None, frozenset({name}), frozenset({name}), frozenset(), authority)
        for name in managers
    ]
    return LinkPolicy(LinkKind.SERVER, here, frozenset(), TrustedPeers(entries), grace=grace)


class CaseWithoutLink(Evaluation):
    """A case without a link. It uses the one authority for all names of the certificate."""

    def __init__(
        self,
        chain: tuple[bytes, ...],
        engine_errors: tuple[EngineError, ...],
        policy: LinkPolicy,
        authority: Authority,
        at: datetime,
    ) -> None:
        self.authority = authority
        evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, _NOWHERE, _NOWHERE, chain, engine_errors)
        super().__init__(evidence, policy, at)

    @cached_property
    def counted(self) -> tuple[Authority, ...]:
        """The one authority."""
        return (self.authority,)


def name(evaluation: Evaluation) -> Finding:
    """Check that the only name is the DNS name of one management server.

    With a SIP URI the certificate could also be used on a link. A common name is never an identity (rule R4).
    """
    asked = CheckQuestion(
        "name", "the DNS name of one management server, and no other name", "rule R4, R5; RFC 5280 4.2.1.6"
    )
    if evaluation.leaf is None:
        return asked.unjudged("there is no certificate")
    names = alternative_names(evaluation.leaf)
    saw = tell_list(list(map(spell, names))) or tell_list(
        [f"CN:{cn}, which is ignored" for cn in common_names(evaluation.leaf)]
    )
    dns = [ascii_lower(entry.value) for entry in names if isinstance(entry, x509.DNSName)]
    if not dns or not all(map(is_host_name, dns)):
        return asked.refused(saw or "no name", Code.NO_SIP_IDENTITY)
    if len(names) > 1:
        return asked.refused(saw, Code.AMBIGUOUS_IDENTITY)
    if dns[0] not in evaluation.policy.peers:
        known = tell_list(sorted(evaluation.policy.peers)) or "there is none"
        return asked.refused(f"{dns[0]}; the management servers: {known}", Code.NOT_IN_TOPOLOGY)
    return asked.passed(dns[0])


def usage(evaluation: Evaluation) -> Finding:
    """Check that documentSigning is the only usage, and that every issuer allows it (RFC 9336 3, RFC 5280 4.2.1.12).

    This is stricter than for a peer of a link. A certificate without the extension would allow every usage, and another usage
    could be that of a server.
    """
    asked = CheckQuestion("usage", "digitalSignature and documentSigning alone", "RFC 9336 3; RFC 5280 4.2.1.12")
    leaf = evaluation.line[0]
    bits, usages = extension(leaf, x509.KeyUsage), extension(leaf, x509.ExtendedKeyUsage)
    if bits is None or not bits.digital_signature:
        return asked.refused("the key usage lacks digitalSignature", Code.WRONG_USAGE)
    if usages is None or list(usages) != [DOCUMENT_SIGNING]:
        return asked.refused(spell_usages(usages), Code.WRONG_USAGE)
    for certificate in evaluation.line[1:-1]:
        listed = extension(certificate, x509.ExtendedKeyUsage)
        if listed is not None and not {DOCUMENT_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(listed):
            saw = f"{tell_subject(certificate)} has only {spell_usages(listed)}"
            return asked.refused(saw, Code.WRONG_USAGE)
    return asked.passed("allowed")


CHECKS: Mapping[str, Callable[[Evaluation], Finding | None]] = MappingProxyType(
    {
        "engine": checks.engine,
        "certificate": checks.certificate,
        "issuer": checks.issuer,
        "second-engine": checks.second_engine,
        "validity": checks.validity,
        "leaf": checks.leaf,
        "key": checks.key,
        "issuing": checks.issuing,
        "constraints": checks.constraints,
        "devices": devices,
        "name": name,
        "usage": usage,
        "revocation": checks.revocation,
    }
)
_CHECKS_OF_BEFORE = MappingProxyType({name: check for name, check in CHECKS.items() if name != "revocation"})
_WITHOUT_CERTIFICATE = ("engine", "certificate")


_ADVICE = {
    Code.NOT_IN_TOPOLOGY: "Sign on the management server that the version in force names. Former management servers are "
    "not accepted.",
    Code.NO_SIP_IDENTITY: "Issue the document signer again: sipmesh ca issue MANAGEMENT-SERVER",
    Code.AMBIGUOUS_IDENTITY: "Issue the document signer again with `sipmesh ca issue`: it needs the name of one server, "
    "and no SIP URI.",
    Code.WRONG_USAGE: "Issue the document signer again with `sipmesh ca issue`: a server certificate cannot sign documents.",
}
