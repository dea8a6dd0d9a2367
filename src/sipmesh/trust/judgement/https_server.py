"""Judge the certificate of an HTTPS server that has one of our own authority: the checks of the judge, and the rules for HTTPS.

No server of the topology is an HTTPS server for us. Otherwise a thief of the key of one could play an OpenID provider
at each name that this server serves, such as a SIP domain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.sip.text import ascii_lower
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
from sipmesh.trust.x509.sip_identity import alternative_names, spell

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import EngineError
    from sipmesh.trust.judgement.evaluation import Evaluation

_NO_GRACE: Final = timedelta(0)
_ADVICE: Final = {
    Code.ROLE_NOT_ALLOWED: "Give the HTTPS server a certificate of its own, which names no server of the topology.",
    Code.NAME_MISMATCH: "Write the name of the certificate into the URL, or give the HTTPS server another certificate.",
}


def judge_https_server(
    chain: Sequence[bytes],
    authority: Authority,
    host: str,
    servers: Collection[str],
    *,
    at: datetime,
    engine_errors: Sequence[EngineError],
    here: str,
) -> SignerVerdict:
    """Decide at the instant *at* whether the first certificate of *chain* is that of the HTTPS server *host*.

    *host* is the name or the address of the URL (RFC 9525 section 6), *servers* the names of the topology's servers.
    *engine_errors* are the errors of OpenSSL for the chain (`sipmesh.transport.tls.path_check`).
    """
    policy = LinkPolicy(LinkKind.SERVER, here, frozenset(), TrustedPeers([]), grace=_NO_GRACE)
    case = CaseWithoutLink(tuple(chain), tuple(engine_errors), policy, authority, at)
    return decide(case, {**SIGNER_CHECKS, "name": partial(name, host, frozenset(servers)), "usage": usage}, _ADVICE)


def name(host: str, servers: frozenset[str], evaluation: Evaluation) -> Finding:
    """Check that the certificate has the *host* to the letter, and none of the *servers* (RFC 9525 section 6.3)."""
    asked = CheckQuestion("name", f"{host}, and no server of the topology", "rule R4, R9; RFC 9525 6")
    if evaluation.leaf is None:
        return asked.unjudged("there is no certificate")
    saw = tell_list(list(map(spell, alternative_names(evaluation.leaf)))) or "no name"
    if named := servers_named(evaluation.leaf, servers):
        return asked.refused(f"the server {named[0]} of the topology: {saw}", Code.ROLE_NOT_ALLOWED)
    return asked.passed(saw) if host in hosts_of(evaluation.leaf) else asked.refused(saw, Code.NAME_MISMATCH)


def usage(evaluation: Evaluation) -> Finding:
    """Check that serverAuth is among the usages (RFC 5280 4.2.1.12)."""
    asked = CheckQuestion("usage", "digitalSignature and serverAuth", "RFC 5280 4.2.1.3, 4.2.1.12")
    leaf = evaluation.line[0]
    bits, usages = extension(leaf, x509.KeyUsage), extension(leaf, x509.ExtendedKeyUsage)
    if bits is None or not bits.digital_signature:
        return asked.refused("the key usage lacks digitalSignature", Code.WRONG_USAGE)
    if usages is None or ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        return asked.refused(spell_usages(usages), Code.WRONG_USAGE)
    return asked.passed("allowed")


def servers_named(certificate: x509.Certificate, servers: Collection[str]) -> list[str]:
    """Return the *servers* of the topology that a certificate names."""
    return sorted(hosts_of(certificate).intersection(servers))


def hosts_of(certificate: x509.Certificate) -> set[str]:
    """Return the DNS names, in lower case, and the addresses of a certificate."""
    names = alternative_names(certificate)
    dns = {ascii_lower(one.value) for one in names if isinstance(one, x509.DNSName)}
    return dns | {str(one.value) for one in names if isinstance(one, x509.IPAddress)}
