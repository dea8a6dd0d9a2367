"""Judge the certificate of an operator who logs in to the console: the checks of the judge, and the rules for operators.

The certificate is not that of a link between servers. So the checks of links are left out, and the others are the same as for a
peer. What an accepted operator may do is not in the certificate: the topology in force says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.judgement.document_signer import CHECKS as SIGNER_CHECKS
from sipmesh.trust.judgement.document_signer import CaseWithoutLink, SignerVerdict, decide
from sipmesh.trust.judgement.usage_check import spell_usages
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.certificate import extension
from sipmesh.trust.x509.operator_name import SCHEME, operator_name
from sipmesh.trust.x509.sip_identity import alternative_names, spell

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import EngineError
    from sipmesh.trust.judgement.evaluation import Evaluation


def judge_operator(
    chain: Sequence[bytes],
    authority: Authority,
    *,
    at: datetime,
    engine_errors: Sequence[EngineError],
    here: str,
    grace: timedelta,
) -> SignerVerdict:
    """Decide at the instant *at* which operator the first certificate of *chain* names.

    Args:
        chain: DER certificates, the operator's first.
        authority: Our own authority, with its CRLs. No other authority is accepted.
        at: Now, timezone-aware.
        engine_errors: The errors of OpenSSL, the first engine, for the chain (`sipmesh.transport.tls.path_check`).
        here: The server whose clock and CRLs are used. It is named in the remedies.
        grace: How long a CRL is accepted after its next_update.
    """
    policy = LinkPolicy(LinkKind.SERVER, here, frozenset(), TrustedPeers([]), grace=grace)
    return decide(_OperatorCase(tuple(chain), tuple(engine_errors), policy, authority, at), CHECKS, _ADVICE)


class _OperatorCase(CaseWithoutLink):
    """A case whose certificate proves the name of an operator."""

    @cached_property
    def proved(self) -> frozenset[str]:
        found = operator_name(self.leaf) if self.leaf is not None else ""
        return frozenset((found,) if found else ())


def name(evaluation: Evaluation) -> Finding:
    """Check that the only name is that of an operator: the name of a server, a user or a domain is none (RFC 5280 4.2.1.6)."""
    asked = CheckQuestion("name", f"one name, a URI {SCHEME}:NAME", "rule R4; RFC 5280 4.2.1.6")
    if evaluation.leaf is None:
        return asked.unjudged("there is no certificate")
    saw = tell_list(list(map(spell, alternative_names(evaluation.leaf)))) or "no name"
    return asked.passed(saw) if operator_name(evaluation.leaf) else asked.refused(saw, Code.NO_SIP_IDENTITY)


def usage(evaluation: Evaluation) -> Finding:
    """Check that clientAuth is the only usage: that of a server is another (RFC 5280 4.2.1.12)."""
    asked = CheckQuestion("usage", "digitalSignature and clientAuth alone", "RFC 5280 4.2.1.3, 4.2.1.12")
    leaf = evaluation.line[0]
    bits, usages = extension(leaf, x509.KeyUsage), extension(leaf, x509.ExtendedKeyUsage)
    if bits is None or not bits.digital_signature:
        return asked.refused("the key usage lacks digitalSignature", Code.WRONG_USAGE)
    if usages is None or list(usages) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        return asked.refused(spell_usages(usages), Code.WRONG_USAGE)
    return asked.passed("allowed")


CHECKS: Final[Mapping[str, Callable[[Evaluation], Finding | None]]] = MappingProxyType(
    {**SIGNER_CHECKS, "name": name, "usage": usage}
)
_ISSUE: Final = "Issue a certificate for the operator: sipmesh console certificate NAME"
_ADVICE: Final = {Code.NO_SIP_IDENTITY: _ISSUE, Code.WRONG_USAGE: _ISSUE}
