"""Judge a new certificate of a public CA before our clients get it: the checks of the judge, and the names that were ordered.

Its revocation is not checked: it was issued a moment ago, and no list of a public CA is at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.judgement.document_signer import CHECKS, CaseWithoutLink, SignerVerdict, decide
from sipmesh.trust.judgement.https_server import usage
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.sip_identity import alternative_names, spell

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import EngineError
    from sipmesh.trust.judgement.evaluation import Evaluation

_NO_GRACE: Final = timedelta(0)
_ADVICE: Final = {
    Code.UNTRUSTED_ISSUER: "Put the root of the CA into `acme.anchors`, unless the CA has left out an intermediate.",
    Code.NAME_MISMATCH: "Ask the CA why it has issued for other names than those of the order.",
}
_CHECKS: Final = {check: asks for check, asks in CHECKS.items() if check not in {"devices", "revocation"}}


def judge_public_certificate(
    chain: Sequence[bytes],
    authority: Authority,
    names: Collection[str],
    *,
    at: datetime,
    engine_errors: Sequence[EngineError],
    here: str,
) -> SignerVerdict:
    """Decide at the instant *at* whether the first certificate of *chain* is one for these *names*, under *authority*.

    *engine_errors* are those of OpenSSL in a handshake with the certificate.
    """
    policy = LinkPolicy(LinkKind.CLIENT, here, frozenset(), TrustedPeers([]), grace=_NO_GRACE)
    case = CaseWithoutLink(tuple(chain), tuple(engine_errors), policy, authority, at)
    return decide(case, {**_CHECKS, "name": partial(_name, frozenset(names)), "usage": usage}, _ADVICE)


def _name(names: frozenset[str], evaluation: Evaluation) -> Finding:
    """Check that the certificate has each of *names*, as a DNS name, and no other name."""
    asked = CheckQuestion("name", f"{tell_list(sorted(names))}, and no other name", "rule R3; RFC 8555 7.4")
    if evaluation.leaf is None:
        return asked.unjudged("there is no certificate")
    held = alternative_names(evaluation.leaf)
    saw = tell_list(list(map(spell, held))) or "no name"
    dns = {ascii_lower(one.value) for one in held if isinstance(one, x509.DNSName)}
    is_right = dns == names and all(isinstance(one, x509.DNSName) for one in held)
    return asked.passed(saw) if is_right else asked.refused(saw, Code.NAME_MISMATCH)
