"""The checks of the judge, in one table. Each check answers one question about an evaluation.

A check returns a finding, or None if it does not apply to this kind of link. No check reads the finding of another check. So
a mutation test can remove one check without an effect on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_list, tell_subject, tell_time
from sipmesh.trust.judgement.dane_check import dane
from sipmesh.trust.judgement.device_check import device, devices
from sipmesh.trust.judgement.evaluation import NO_PATH, Evaluation
from sipmesh.trust.judgement.priority import PRIORITY, most_telling
from sipmesh.trust.judgement.usage_check import usage
from sipmesh.trust.path import chain
from sipmesh.trust.path.dane_path import NO_RECORD
from sipmesh.trust.path.openssl_errors import is_left_to_us, meaning, tell
from sipmesh.trust.revocation.path_status import check_listed
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.revocation.staple import demands_staple, staple_fault
from sipmesh.trust.role import ClientAuth
from sipmesh.trust.transparency.ct_log import NEEDED, CtMode
from sipmesh.trust.transparency.sct import logged_by
from sipmesh.trust.x509.certificate import extension, is_authority
from sipmesh.trust.x509.certificate_policies import unmet
from sipmesh.trust.x509.name_constraints import violations
from sipmesh.trust.x509.sip_identity import BESIDE_URI

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


Check = Callable[[Evaluation], Finding | None]

NO_ENTRY = "the certificate does not identify one topology entry"


def handshake(evaluation: Evaluation) -> Finding:
    """Check that the handshake finished. An unknown code becomes `handshake-failed`."""
    failure = evaluation.evidence.failure
    if failure is None:
        return _finished(evaluation.evidence.tls.version, evaluation.evidence.tls.cipher)
    known = failure.code in PRIORITY
    return _HANDSHAKE.refused(failure.text or failure.code, Code(failure.code) if known else Code.HANDSHAKE_FAILED)


_HANDSHAKE = CheckQuestion("handshake", "a finished TLS handshake, version 1.2 or 1.3", "rule R1")


@lru_cache(maxsize=64)
def _finished(version: str, cipher: str) -> Finding:
    """Make the finding of a finished handshake. It is cached, because thousands of client links share it."""
    return _HANDSHAKE.passed(" ".join(filter(None, (version, cipher))) or "finished")


def no_certificate_asked(evaluation: Evaluation) -> Finding:
    """State that a client needs no certificate: it logs in by digest on this link (rule R3, R10).

    A port that does not ask any more may have links from the time when it did: their certificate does not count now.
    """
    if evaluation.evidence.presented:
        return _WITH_PASSWORD.refused("a certificate, for which this port does not ask any more", Code.NOT_A_DEVICE)
    return _NOT_ASKED if evaluation.policy.client_auth is ClientAuth.PASSWORD else _NONE_PRESENTED


_WITH_PASSWORD = CheckQuestion("certificate", "no certificate: clients log in with a password", "rule R3")
_NOT_ASKED = _WITH_PASSWORD.passed("no certificate is requested on a client port")
_NONE_PRESENTED = CheckQuestion("certificate", "the certificate of a device, or a password", "rule R3").passed(
    "no certificate: the client logs in with a password"
)


def certificate(evaluation: Evaluation) -> Finding | None:
    """Check that there is a readable chain. None if the handshake failed earlier, because that finding says it."""
    asked = CheckQuestion("certificate", "a certificate chain that can be read", "rule R2; RFC 5280 4.1")
    if evaluation.fault:
        return asked.refused(evaluation.fault, Code.MALFORMED_CERTIFICATE)
    if evaluation.leaf is None:
        return None if evaluation.evidence.failure else asked.refused("no certificate", Code.NO_CERTIFICATE)
    if len(evaluation.evidence.presented) > chain.PRESENTED + 1:
        return asked.refused(f"{len(evaluation.evidence.presented)} certificates", Code.MALFORMED_CERTIFICATE)
    if evaluation.excess:
        return asked.refused(evaluation.excess, Code.WEAK_KEY if evaluation.costly else Code.MALFORMED_CERTIFICATE)
    return asked.passed(f"{len(evaluation.pool) + 1} certificates")


def engine(evaluation: Evaluation) -> Finding:
    """Check that OpenSSL, the first engine, reports no error, except those that the judge decides."""
    asked = CheckQuestion("engine", "no error from OpenSSL", "rule R4: two engines must agree")
    errors = evaluation.evidence.engine_errors
    standing = [error for error in errors if not is_left_to_us(error)]
    if standing:
        codes = {_issuer_code(evaluation) if (code := meaning(e)) is Code.UNTRUSTED_ISSUER else code for e in standing}
        return asked.refused("; ".join(map(tell, standing)), most_telling(codes))
    return asked.passed("; ".join(f"{tell(error)} (decided by the sipmesh check)" for error in errors) or "no error")


def issuer(evaluation: Evaluation) -> Finding:
    """Check for a path, by name and signature, to an anchor of the entry that the certificate names (rule R4, R8)."""
    names = ", ".join(sorted({authority.name for authority in evaluation.counted})) or "nobody"
    asked = CheckQuestion("issuer", f"a path to an anchor of {names}", "rule R4, R8; RFC 5280 6.1.3 (a)")
    if evaluation.by_dane:
        return _asserted(evaluation)
    if evaluation.trail.path:
        return asked.passed(" < ".join(certificate.subject.rfc4514_string() for certificate in evaluation.trail.path))
    if evaluation.excess:
        return asked.unjudged("the path was not built: the chain exceeds the limits")
    if _cut_short(evaluation):
        return asked.unjudged("OpenSSL rejected the key of the leaf before it searched for an issuer")
    signer = evaluation.leaf.issuer.rfc4514_string() if evaluation.leaf else ""
    if evaluation.elsewhere.authority:
        signer += f", which leads to an anchor of {evaluation.elsewhere.authority.name}"
    elif evaluation.leaf and evaluation.leaf.issuer == evaluation.leaf.subject:
        signer = "a self-signed certificate"
    return asked.refused(f"issued by {signer}", _issuer_code(evaluation))


def _asserted(evaluation: Evaluation) -> Finding:
    """Tell the path where TLSA records count in place of a CA; without one, the check of these records gives the code."""
    path = evaluation.trail.path
    if not path:
        return _ASSERTED.unjudged(NO_RECORD)
    return _ASSERTED.passed(" < ".join(certificate.subject.rfc4514_string() for certificate in path))


_ASSERTED = CheckQuestion("issuer", "a path to what a secure TLSA record names", "RFC 7671 5.1, 5.2; rule R8")


def _cut_short(evaluation: Evaluation) -> bool:
    """Tell whether OpenSSL refused the leaf's key before it built a path. Then the evidence has no issuer."""
    too_weak = any(error.depth == 0 and meaning(error) is Code.WEAK_KEY for error in evaluation.evidence.engine_errors)
    return (
        too_weak
        and not evaluation.pool
        and evaluation.leaf is not None
        and evaluation.leaf.issuer != evaluation.leaf.subject
    )


def _issuer_code(evaluation: Evaluation) -> Code:
    """Give the code of an issuer that is not accepted.

    If the issuer is right for the named entry, but is not an anchor of this link, then the entry may not use this link. If it
    is right for other entries only, then it has signed a name that it may not sign.
    """
    if evaluation.trail.verified and not evaluation.proved:
        return _unknown_code(evaluation)
    if evaluation.trail.verified and evaluation.peer and evaluation.peer.name not in evaluation.policy.may_open:
        return Code.ROLE_NOT_ALLOWED
    return Code.ISSUER_NOT_FOR_THIS_NAME if evaluation.elsewhere.authority else Code.UNTRUSTED_ISSUER


def second_engine(evaluation: Evaluation) -> Finding:
    """Check with cryptography's verifier, the second engine. Our own path check decides what it cannot read."""
    asked = CheckQuestion("second-engine", "a path that cryptography verifies", "rule R4: two engines must agree")
    if not evaluation.trail.path:
        return asked.unjudged(NO_PATH)
    if evaluation.by_dane and len(evaluation.trail.path) == 1:
        return asked.passed("a TLSA record names the certificate itself: there is no path (RFC 7671 5.1)")
    if evaluation.trail.engine_is_blind:
        return asked.passed(
            "cryptography cannot check URI constraints, directory constraints or critical policies; the sipmesh path check "
            "decides"
        )
    if evaluation.trail.refusal:
        return asked.refused(evaluation.trail.refusal, Code.MALFORMED_CERTIFICATE)
    return asked.passed("verified")


def validity(evaluation: Evaluation) -> Finding:
    """Check that our clock is within the validity of every certificate in the path."""
    asked = CheckQuestion("validity", f"valid at {tell_time(evaluation.at)}, our clock", "rule R4; RFC 5280 4.1.2.5")
    begin, end, until = evaluation.span
    if begin <= evaluation.at and evaluation.at.replace(microsecond=0) <= end:
        return asked.passed(until)
    if late := chain.expired(evaluation.line, evaluation.at):
        saw = "; ".join(
            f"{tell_subject(certificate)} expired at {tell_time(certificate.not_valid_after_utc)}"
            for certificate in late
        )
        return asked.refused(saw, Code.EXPIRED)
    early = chain.early(evaluation.line, evaluation.at)
    saw = "; ".join(
        f"{tell_subject(certificate)} is valid from {tell_time(certificate.not_valid_before_utc)}"
        for certificate in early
    )
    return asked.refused(saw, Code.NOT_YET_VALID)


def leaf(evaluation: Evaluation) -> Finding:
    """Check that the certificate is not of a CA. Each engine accepts some CA certificates as that of a server."""
    asked = CheckQuestion(
        "leaf", "an end-entity certificate without the right to sign certificates", "rule R4; RFC 5280 4.2.1.9"
    )
    certificate = evaluation.line[0]
    usage = extension(certificate, x509.KeyUsage)
    if is_authority(certificate):
        return asked.refused("basic constraints say CA:TRUE", Code.NOT_A_LEAF)
    if usage is not None and usage.key_cert_sign:
        return asked.refused("the key usage contains keyCertSign", Code.NOT_A_LEAF)
    return asked.passed("an end entity")


def key(evaluation: Evaluation) -> Finding:
    """Check the keys and signatures of the whole path. The second engine accepts short keys in a leaf."""
    wanted = "RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519 or ML-DSA-44, signed over SHA-256 or better"
    asked = CheckQuestion("key", wanted, "rule R4; NIST SP 800-57 part 1, 5.6.1")
    wrong = chain.weak(evaluation.line)
    return asked.refused("; ".join(wrong), Code.WEAK_KEY) if wrong else asked.passed("strong keys")


def issuing(evaluation: Evaluation) -> Finding:
    """Check that each issuer in the path may issue, and that its extensions are valid."""
    asked = CheckQuestion(
        "issuing",
        "issuers that are CAs within their path length, extensions in order, policies as required",
        "RFC 5280 6.1.4, 6.1.5, 4.2",
    )
    if not evaluation.trail.path:
        return asked.unjudged(NO_PATH)
    if wrong := chain.not_issuing(evaluation.trail.path):
        return asked.refused("; ".join(wrong), Code.UNTRUSTED_ISSUER)
    if wrong := [*chain.ill_formed(evaluation.trail.path), *unmet(evaluation.trail.path)]:
        return asked.refused("; ".join(wrong), Code.MALFORMED_CERTIFICATE)
    return asked.passed(f"{len(evaluation.trail.path) - 1} authorities that may issue")


def constraints(evaluation: Evaluation) -> Finding:
    """Check that every name obeys the name constraints of the CAs above it, SIP URIs included."""
    asked = CheckQuestion("constraints", "names within the constraints of every issuer", "RFC 5280 4.2.1.10")
    if not evaluation.trail.path:
        return asked.unjudged(NO_PATH)
    wrong = violations(evaluation.trail.path)
    return asked.refused("; ".join(wrong), Code.ISSUER_NOT_FOR_THIS_NAME) if wrong else asked.passed("none broken")


def identity(evaluation: Evaluation) -> Finding:
    """Check that there is at least one SIP domain identity."""
    asked = CheckQuestion("identity", "a SIP domain in the subjectAltName", "RFC 5922 7.1; rule R4")
    ignored = tell_list([f"{name} ({why})" for name, why in evaluation.names.ignored], "; ")
    if not evaluation.names.usable:
        return asked.refused(f"none; ignored: {ignored or 'there are no names'}", Code.NO_SIP_IDENTITY)
    return asked.passed(tell_list(evaluation.names.usable) + (f"; ignored: {ignored}" if ignored else ""))


def blocked(evaluation: Evaluation) -> Finding:
    """Check that the operator has not blocked a name of the peer, or the entry that it belongs to."""
    asked = CheckQuestion("blocked", "no name that the topology blocks", "rule R5, federation.blocked")
    found = [f"{name} (blocked: {block})" for name, block in evaluation.blocks.items()]
    return asked.refused(", ".join(found), Code.PARTNER_BLOCKED) if found else asked.passed("none")


def topology(evaluation: Evaluation) -> Finding:
    """Check that the identities name exactly one entry of the topology (rule R5, R12)."""
    asked = CheckQuestion("topology", "identities of exactly one entry of the topology", "rule R5, R12")
    if not evaluation.names.usable:
        return asked.unjudged("there is no SIP identity")
    if evaluation.opened:
        return _meant_alone(evaluation, asked)
    if len(evaluation.named) > 1:
        saw = f"names of {', '.join(sorted(peer.name for peer in evaluation.named))}"
        return asked.refused(saw, Code.AMBIGUOUS_IDENTITY)
    if evaluation.peer is None or not evaluation.proved:
        return asked.refused(tell_list([*_unknown(evaluation)], "; ") + _held(evaluation), _unknown_code(evaluation))
    return _undivided(evaluation, asked)


def _meant_alone(evaluation: Evaluation, asked: CheckQuestion) -> Finding:
    if evaluation.policy.meant is None:
        saw = f"{evaluation.policy.meant_name or 'no peer'}, the expected peer, is not in the topology" + _held(
            evaluation
        )
        return asked.refused(saw, _unknown_code(evaluation))
    if not evaluation.proved:
        return asked.unjudged(f"it does not prove the identity {evaluation.policy.meant_name}")
    return _undivided(evaluation, asked)


def _undivided(evaluation: Evaluation, asked: CheckQuestion) -> Finding:
    """Refuse names of a second entry: RFC 5922 allows many domains in a certificate, but R12 allows one entry only."""
    others = [f"{name} of {', '.join(p.name for p in peers)}" for name, peers in evaluation.foreign.items() if peers]
    if others:
        saw = f"{', '.join(sorted(evaluation.proved))}, but also {'; '.join(others)}"
        return asked.refused(saw, Code.AMBIGUOUS_IDENTITY)
    entry = evaluation.peer.role or "partner" if evaluation.peer else ""
    return asked.passed(
        f"{', '.join(sorted(evaluation.proved))}: {entry} {evaluation.peer.name if evaluation.peer else ''}"
    )


def _unknown_code(evaluation: Evaluation) -> Code:
    return Code.PARTNER_UNKNOWN if evaluation.policy.kind is LinkKind.PARTNER else Code.NOT_IN_TOPOLOGY


def _held(evaluation: Evaluation) -> str:
    """Write the topology version of this server, if there are versions: a newer version may contain the name."""
    edition = evaluation.policy.edition
    return f"; this server has {edition}" if edition.number else ""


def _unknown(evaluation: Evaluation) -> Iterable[str]:
    for name in evaluation.unknown:
        if shared := evaluation.shared.get(name):
            yield f"{name} is in the scope of {shared}, but is not the name of a single server"
        elif near := evaluation.nearest.get(name):
            yield f"{name} is not in the topology; the nearest name is {near}"
        else:
            yield f"{name} is not in the topology"


def name(evaluation: Evaluation) -> Finding | None:
    """Check the expected name, on links that we open (rule R9; RFC 5922 7.3, RFC 9525)."""
    if not evaluation.opened:
        return None
    meant = evaluation.policy.meant_name
    asked = CheckQuestion("name", f"the expected name, {meant}", "rule R9; RFC 5922 7.3; RFC 9525 6")
    if not evaluation.names.usable:
        return asked.unjudged("there is no SIP identity")
    if evaluation.policy.meant is None:
        return asked.unjudged("the expected peer is not in the topology")
    if ascii_lower(meant) in evaluation.proved:
        return asked.passed(meant)
    return asked.refused(tell_list(evaluation.names.usable), Code.NAME_MISMATCH)


def scope(evaluation: Evaluation) -> Finding | None:
    """List the names outside the entry's scope. They do not refuse the peer, and they are never used (rule R8)."""
    if evaluation.peer is None or not evaluation.proved:
        return None
    asked = CheckQuestion("scope", f"names in the scope of {evaluation.peer.name}", "rule R8")
    outside = tell_list([*evaluation.foreign, *(spelt for spelt, why in evaluation.names.ignored if why == BESIDE_URI)])
    return asked.passed(f"all used names; ignored: {outside}" if outside else "all")


def role(evaluation: Evaluation) -> Finding:
    """Check that the entry may be the peer of this kind of link (the table of links)."""
    asked = CheckQuestion(
        "role", f"an entry that may be on a {evaluation.policy.kind} link of {evaluation.policy.here}", "rule R5"
    )
    if evaluation.peer is None or not evaluation.proved:
        return asked.unjudged(NO_ENTRY)
    saw = f"{evaluation.peer.name}, {evaluation.peer.role or 'partner'}"
    if evaluation.peer.name in evaluation.policy.may_open:
        return asked.passed(saw)
    return asked.refused(saw, Code.ROLE_NOT_ALLOWED)


def revocation(evaluation: Evaluation) -> Finding:
    """Check the whole path with the CRLs and OCSP responses of the authority that issued it (rule R7, R12)."""
    authority = evaluation.trail.authority
    if not evaluation.trail.path or authority is None:
        return _REVOCATION.unjudged(NO_PATH)
    sources = (authority.lists, authority.answers)
    grace, source = max(evaluation.policy.grace, authority.grace), authority.source
    if source is not RevocationSource.LISTS and (fault := _missing_staple(evaluation, grace)):
        return _STAPLE.refused(fault, Code.STAPLE_MISSING)
    return check_listed(evaluation.listed, sources, at=evaluation.at, grace=grace, source=source, live=evaluation.live)


def _missing_staple(evaluation: Evaluation, grace: timedelta) -> str:
    """Say why a server that must staple its OCSP response has not (RFC 7633 4.2.3); "" if it has, or need not.

    Only a server can: this side asks it, if OCSP counts for its authority. A link that is up is not judged again by its staple.
    """
    path = evaluation.trail.path
    if evaluation.live or not evaluation.opened or len(path) < 2 or not demands_staple(path[0]):  # noqa: PLR2004 - an issuer
        return ""
    return staple_fault(evaluation.evidence.stapled, path[0], path[1], evaluation.at, grace)


_STAPLE = CheckQuestion(
    "revocation", "a stapled OCSP response, which the certificate demands", "RFC 7633 4.2.3; rule R7"
)
_REVOCATION = CheckQuestion("revocation", "no revoked certificate in the path", "RFC 5280 6.3.3; rule R7, R12")


def transparency(evaluation: Evaluation) -> Finding | None:
    """Check that logs have the certificate, where the topology asks for it: a CA that issues in secret is refused.

    None if nothing is asked of the authority, or there is no path: then another finding says so.
    """
    authority, path = evaluation.trail.authority, evaluation.trail.path
    if authority is None or authority.transparency is None or len(path) < 2:  # noqa: PLR2004 - an issuer
        return None
    found = logged_by(path[0], path[1], authority.transparency.logs, evaluation.at, evaluation.evidence.stapled)
    saw = f"SCTs of {tell_list(found.operators)}" if found.operators else "no valid SCT"
    told = "; ".join((saw, *found.faults))
    if len(found.operators) >= NEEDED:
        return _TRANSPARENCY.passed(told)
    if authority.transparency.mode is CtMode.REPORT:
        return _TRANSPARENCY.passed(f"{told}; accepted, because `ct` is report")
    return _TRANSPARENCY.refused(told, Code.NOT_LOGGED)


_TRANSPARENCY = CheckQuestion("transparency", f"valid SCTs of {NEEDED} operators of logs", "RFC 6962 3.3, 5.2")


# In the order in which an operator reads them. A mutation test removes each check in turn.
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "handshake": handshake,
        "engine": engine,
        "certificate": certificate,
        "issuer": issuer,
        "second-engine": second_engine,
        "validity": validity,
        "leaf": leaf,
        "key": key,
        "issuing": issuing,
        "constraints": constraints,
        "devices": devices,
        "identity": identity,
        "blocked": blocked,
        "topology": topology,
        "name": name,
        "scope": scope,
        "role": role,
        "usage": usage,
        "transparency": transparency,
        "dane": dane,
        "revocation": revocation,
    }
)
# Run at every handshake, also for certificates that were accepted before: their results are not cached.
REPEATED = frozenset({"handshake", "validity", "dane", "revocation"})
WITHOUT_CERTIFICATE = frozenset({"handshake", "engine", "certificate"})  # the other checks need a certificate
CLIENT_CHECKS: Mapping[str, Check] = MappingProxyType({"handshake": handshake, "certificate": no_certificate_asked})
# Of a client that presents a certificate where it is asked for one.
DEVICE_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "handshake": handshake,
        "engine": engine,
        "certificate": certificate,
        "issuer": issuer,
        "second-engine": second_engine,
        "validity": validity,
        "leaf": leaf,
        "key": key,
        "issuing": issuing,
        "constraints": constraints,
        "device": device,
        "usage": usage,
        "revocation": revocation,
    }
)
