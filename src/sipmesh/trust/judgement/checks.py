"""The checks of the judge, in one table: each asks one question of a case.

Each returns a finding, or None where it has nothing to ask of this kind of link. None looks at the finding of another,
so that switching one off leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.formatting import tell_list, tell_subject, tell_time
from sipmesh.trust.judgement.evaluation import Case
from sipmesh.trust.judgement.priority import PRIORITY, most_telling
from sipmesh.trust.path import chain
from sipmesh.trust.path.openssl_errors import is_left_to_us, meaning, tell
from sipmesh.trust.revocation.crl import check_listed
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.verdict import Code, Finding, Question
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING, extension, is_authority
from sipmesh.trust.x509.certificate_policies import unmet
from sipmesh.trust.x509.name_constraints import violations
from sipmesh.trust.x509.sip_identity import BESIDE_URI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.trust.policy import LinkPolicy

Check = Callable[[Case], Finding | None]

ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
NO_PATH = "there is no path to an anchor that counts"
NO_ENTRY = "no one entry of the topology is named"


def handshake(case: Case) -> Finding:
    """Ask whether the handshake was finished; a code that is none of ours counts as a plain failure."""
    failure = case.evidence.failure
    if failure is None:
        return _finished(case.evidence.tls.version, case.evidence.tls.cipher)
    known = failure.code in PRIORITY
    return _HANDSHAKE.refused(failure.text or failure.code, Code(failure.code) if known else Code.HANDSHAKE_FAILED)


_HANDSHAKE = Question("handshake", "a finished TLS handshake, version 1.2 or 1.3", "rule R1")


@lru_cache(maxsize=64)
def _finished(version: str, cipher: str) -> Finding:
    """Thousands of client links share what they negotiated, and so this finding."""
    return _HANDSHAKE.passed(" ".join(filter(None, (version, cipher))) or "finished")


def no_certificate_asked(_case: Case) -> Finding:
    """Say why a client needs no certificate: it proves itself by digest on this link (rule R3, R10)."""
    return _NOT_ASKED


_NOT_ASKED = Question("certificate", "nothing: clients prove themselves by password", "rule R3").passed(
    "no certificate is requested on a client port"
)


def certificate(case: Case) -> Finding | None:
    """Ask for a chain that can be read. A handshake that failed before any certificate is told by that finding."""
    asked = Question("certificate", "a certificate chain that can be read", "rule R2; RFC 5280 4.1")
    if case.fault:
        return asked.refused(case.fault, Code.MALFORMED_CERTIFICATE)
    if case.leaf is None:
        return None if case.evidence.failure else asked.refused("no certificate", Code.NO_CERTIFICATE)
    if len(case.evidence.presented) > chain.PRESENTED + 1:
        return asked.refused(f"{len(case.evidence.presented)} certificates", Code.MALFORMED_CERTIFICATE)
    if case.excess:
        return asked.refused(case.excess, Code.MALFORMED_CERTIFICATE)
    return asked.passed(f"{len(case.pool) + 1} certificates")


def engine(case: Case) -> Finding:
    """Ask OpenSSL, the first engine: every error stands but those that it leaves to us."""
    asked = Question("engine", "no error of OpenSSL that stands", "rule R4: two engines must agree")
    errors = case.evidence.engine_errors
    standing = [error for error in errors if not is_left_to_us(error)]
    if standing:
        codes = {_issuer_code(case) if (code := meaning(e)) is Code.UNTRUSTED_ISSUER else code for e in standing}
        return asked.refused("; ".join(map(tell, standing)), most_telling(codes))
    return asked.passed("; ".join(f"{tell(error)} (left to our own check)" for error in errors) or "no error")


def issuer(case: Case) -> Finding:
    """Ask for a path by name and signature to an anchor of the one entry that is named (rule R4, R8)."""
    names = ", ".join(sorted({authority.name for authority in case.counted})) or "nobody"
    asked = Question("issuer", f"a path to an anchor of {names}", "rule R4, R8; RFC 5280 6.1.3 (a)")
    if case.trail.path:
        return asked.passed(" < ".join(held.subject.rfc4514_string() for held in case.trail.path))
    if case.excess:
        return asked.unjudged("no path was looked for: the chain asks for too much")
    if _cut_short(case):
        return asked.unjudged("OpenSSL stopped at the key of the leaf, before it looked for an issuer")
    signer = case.leaf.issuer.rfc4514_string() if case.leaf else ""
    if case.elsewhere.authority:
        signer += f", which leads to an anchor of {case.elsewhere.authority.name}"
    elif case.leaf and case.leaf.issuer == case.leaf.subject:
        signer = "a certificate that signs itself"
    return asked.refused(f"issued by {signer}", _issuer_code(case))


def _cut_short(case: Case) -> bool:
    """Tell whether OpenSSL refused the leaf's key before it built a path: then no issuer came with the evidence."""
    too_weak = any(error.depth == 0 and meaning(error) is Code.WEAK_KEY for error in case.evidence.engine_errors)
    return too_weak and not case.pool and case.leaf is not None and case.leaf.issuer != case.leaf.subject


def _issuer_code(case: Case) -> Code:
    """Say why an issuer does not count.

    Where it does count for the entry that is named, and OpenSSL did not have it among this link's anchors, the entry
    has no business on this link; where it counts for others only, it signed a name that is not its own to sign.
    """
    if case.trail.verified and not case.proved:
        return _unknown_code(case)
    if case.trail.verified and case.peer and case.peer.name not in case.policy.may_open:
        return Code.ROLE_NOT_ALLOWED
    return Code.ISSUER_NOT_FOR_THIS_NAME if case.elsewhere.authority else Code.UNTRUSTED_ISSUER


def second_engine(case: Case) -> Finding:
    """Ask cryptography's verifier, the second engine; our own walk stands in where it is blind."""
    asked = Question("second-engine", "a path that cryptography verifies", "rule R4: two engines must agree")
    if not case.trail.path:
        return asked.unjudged(NO_PATH)
    if case.trail.engine_is_blind:
        return asked.passed(
            "it does not read URI constraints, directory constraints or critical policies; our own walk stands in"
        )
    if case.trail.refusal:
        return asked.refused(case.trail.refusal, Code.MALFORMED_CERTIFICATE)
    return asked.passed("verified")


def validity(case: Case) -> Finding:
    """Ask whether our clock lies inside the validity of every certificate on the path."""
    asked = Question("validity", f"valid at {tell_time(case.at)}, our clock", "rule R4; RFC 5280 4.1.2.5")
    begin, end, until = case.span
    if begin <= case.at and case.at.replace(microsecond=0) <= end:
        return asked.passed(until)
    if late := chain.expired(case.line, case.at):
        saw = "; ".join(f"{tell_subject(held)} ended at {tell_time(held.not_valid_after_utc)}" for held in late)
        return asked.refused(saw, Code.EXPIRED)
    early = chain.early(case.line, case.at)
    saw = "; ".join(f"{tell_subject(held)} begins at {tell_time(held.not_valid_before_utc)}" for held in early)
    return asked.refused(saw, Code.NOT_YET_VALID)


def leaf(case: Case) -> Finding:
    """Ask that the certificate is an end entity's: neither engine objects to every CA that poses as a server."""
    asked = Question("leaf", "no CA certificate, and no right to sign certificates", "rule R4; RFC 5280 4.2.1.9")
    held = case.line[0]
    usage = extension(held, x509.KeyUsage)
    if is_authority(held):
        return asked.refused("basic constraints say CA:TRUE", Code.NOT_A_LEAF)
    if usage is not None and usage.key_cert_sign:
        return asked.refused("the key usage holds keyCertSign", Code.NOT_A_LEAF)
    return asked.passed("an end entity")


def key(case: Case) -> Finding:
    """Ask for strong keys and signatures on the whole path; the second engine accepts short keys in a leaf."""
    wanted = "RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519, signed over SHA-256 or better"
    asked = Question("key", wanted, "rule R4; NIST SP 800-57 part 1, 5.6.1")
    wrong = chain.weak(case.line)
    return asked.refused("; ".join(wrong), Code.WEAK_KEY) if wrong else asked.passed("strong keys")


def issuing(case: Case) -> Finding:
    """Ask whether each issuer of the path may issue, and whether its extensions are in order."""
    asked = Question(
        "issuing",
        "issuers that are CAs within their path length, extensions in order, policies as demanded",
        "RFC 5280 6.1.4, 6.1.5, 4.2",
    )
    if not case.trail.path:
        return asked.unjudged(NO_PATH)
    if wrong := chain.not_issuing(case.trail.path):
        return asked.refused("; ".join(wrong), Code.UNTRUSTED_ISSUER)
    if wrong := [*chain.ill_formed(case.trail.path), *unmet(case.trail.path)]:
        return asked.refused("; ".join(wrong), Code.MALFORMED_CERTIFICATE)
    return asked.passed(f"{len(case.trail.path) - 1} authorities that may issue")


def constraints(case: Case) -> Finding:
    """Ask whether every name obeys the name constraints of the authorities above it, SIP URIs included."""
    asked = Question("constraints", "names within the constraints of every issuer", "RFC 5280 4.2.1.10")
    if not case.trail.path:
        return asked.unjudged(NO_PATH)
    wrong = violations(case.trail.path)
    return asked.refused("; ".join(wrong), Code.ISSUER_NOT_FOR_THIS_NAME) if wrong else asked.passed("none broken")


def identity(case: Case) -> Finding:
    """Ask for at least one SIP domain identity."""
    asked = Question("identity", "a SIP domain in the subjectAltName", "RFC 5922 7.1; rule R4")
    ignored = tell_list([f"{name} ({why})" for name, why in case.names.ignored], "; ")
    if not case.names.usable:
        return asked.refused(f"none; ignored: {ignored or 'there are no names'}", Code.NO_SIP_IDENTITY)
    return asked.passed(tell_list(case.names.usable) + (f"; ignored: {ignored}" if ignored else ""))


def blocked(case: Case) -> Finding:
    """Ask whether the operator has blocked a name of the peer, or the entry that it belongs to."""
    asked = Question("blocked", "no name that the topology blocks", "rule R5, federation.blocked")
    claimed = {name: _block_on(name, case.policy) for name in case.names.usable}
    if case.peer:
        claimed |= {name: name for name in case.peer.names & case.policy.blocked}
    told = [f"{name} (blocked: {block})" for name, block in claimed.items() if block]
    return asked.refused(", ".join(told), Code.PARTNER_BLOCKED) if told else asked.passed("none")


def _block_on(name: str, policy: LinkPolicy) -> str:
    """Return what blocks *name*: itself, or a domain above it unless the topology names it expressly."""
    if name in policy.blocked or name in policy.peers:
        return name if name in policy.blocked else ""
    labels = name.split(".")
    above = (".".join(labels[depth:]) for depth in range(1, len(labels)))
    return next((domain for domain in above if domain in policy.blocked), "")


def topology(case: Case) -> Finding:
    """Ask that the identities name one entry of the topology, and no name of another (rule R5, R12)."""
    asked = Question("topology", "identities of exactly one entry of the topology", "rule R5, R12")
    if not case.names.usable:
        return asked.unjudged("there is no SIP identity")
    if case.opened:
        return _meant_alone(case, asked)
    if len(case.named) > 1:
        saw = f"names of {', '.join(sorted(peer.name for peer in case.named))}"
        return asked.refused(saw, Code.AMBIGUOUS_IDENTITY)
    if case.peer is None or not case.proved:
        return asked.refused(tell_list([*_unknown(case)], "; ") + _held(case), _unknown_code(case))
    return _undivided(case, asked)


def _meant_alone(case: Case, asked: Question) -> Finding:
    if case.policy.meant is None:
        saw = f"{case.policy.meant_name or 'nobody'}, whom we meant, is no entry of the topology" + _held(case)
        return asked.refused(saw, _unknown_code(case))
    if not case.proved:
        return asked.unjudged(f"it does not prove to be {case.policy.meant_name}")
    return _undivided(case, asked)


def _undivided(case: Case, asked: Question) -> Finding:
    """RFC 5922 lets a certificate carry many domains; R12 does not let it carry those of two entries."""
    others = [f"{name} of {', '.join(p.name for p in peers)}" for name, peers in case.foreign.items() if peers]
    if others:
        saw = f"{', '.join(sorted(case.proved))}, but also {'; '.join(others)}"
        return asked.refused(saw, Code.AMBIGUOUS_IDENTITY)
    entry = case.peer.role or "partner" if case.peer else ""
    return asked.passed(f"{', '.join(sorted(case.proved))}: {entry} {case.peer.name if case.peer else ''}")


def _unknown_code(case: Case) -> Code:
    return Code.PARTNER_UNKNOWN if case.policy.kind is LinkKind.PARTNER else Code.NOT_IN_TOPOLOGY


def _held(case: Case) -> str:
    """Which version this server holds, where there are versions: the name may stand in a newer one."""
    edition = case.policy.edition
    return f"; this server holds {edition}" if edition.number else ""


def _unknown(case: Case) -> Iterable[str]:
    for name in case.unknown:
        if shared := case.shared.get(name):
            yield f"{name} is in the scope of {shared}, but identifies no single server"
        elif near := case.nearest.get(name):
            yield f"{name} is not there; the nearest is {near}"
        else:
            yield f"{name} is not there"


def name(case: Case) -> Finding | None:
    """Ask for the name that we meant, on links that we open (rule R9; RFC 5922 7.3, RFC 9525)."""
    if not case.opened:
        return None
    meant = case.policy.meant_name
    asked = Question("name", f"the name we meant, {meant}", "rule R9; RFC 5922 7.3; RFC 9525 6")
    if not case.names.usable:
        return asked.unjudged("there is no SIP identity")
    if case.policy.meant is None:
        return asked.unjudged("whom we meant is no entry of the topology")
    if ascii_lower(meant) in case.proved:
        return asked.passed(meant)
    return asked.refused(tell_list(case.names.usable), Code.NAME_MISMATCH)


def scope(case: Case) -> Finding | None:
    """List the names outside the entry's scope. They do not refuse by themselves, and they never count (rule R8)."""
    if case.peer is None or not case.proved:
        return None
    asked = Question("scope", f"names in the scope of {case.peer.name}", "rule R8")
    outside = tell_list([*case.foreign, *(spelt for spelt, why in case.names.ignored if why == BESIDE_URI)])
    return asked.passed(f"all; never counted: {outside}" if outside else "all")


def role(case: Case) -> Finding:
    """Ask whether the entry may be at the other end of this kind of link (the table of links)."""
    asked = Question("role", f"one that may be on a {case.policy.kind} link of {case.policy.here}", "rule R5")
    if case.peer is None or not case.proved:
        return asked.unjudged(NO_ENTRY)
    saw = f"{case.peer.name}, {case.peer.role or 'partner'}"
    if case.peer.name in case.policy.may_open:
        return asked.passed(saw)
    return asked.refused(saw, Code.ROLE_NOT_ALLOWED)


def usage(case: Case) -> Finding:
    """Ask whether the key may do what it did in this handshake, at the leaf and by every issuer's leave.

    OpenSSL leaves the leaf to us: public CAs no longer issue clientAuth, so a partner's ``client_usage`` may let the
    connecting side show serverAuth alone. Without the extension every usage is allowed (RFC 5280 4.2.1.12), and
    id-kp-sipDomain stands for both sides (RFC 5924 4).
    """
    allowed = _usages(case)
    asked = Question("usage", f"digitalSignature and {' or '.join(allowed.values())}", "RFC 5280 4.2.1.12; RFC 5924 4")
    bits = extension(case.line[0], x509.KeyUsage)
    if bits is not None and not bits.digital_signature:
        return asked.refused("the key usage lacks digitalSignature", Code.WRONG_USAGE)
    for held in case.line[:-1] or case.line:
        listed = extension(held, x509.ExtendedKeyUsage)
        if listed is not None and not any(oid in allowed for oid in listed):
            saw = f"{tell_subject(held)} has only {', '.join(spell_usage(oid) for oid in listed)}"
            return asked.refused(saw, Code.WRONG_USAGE)
    return asked.passed("allowed")


def _usages(case: Case) -> dict[x509.ObjectIdentifier, str]:
    """Return what counts for the peer's side of the handshake: it served when we opened the link."""
    served = case.opened or (case.peer is not None and case.peer.client_usage is ClientUsage.SERVER_OK)
    asked = [] if case.opened else [ExtendedKeyUsageOID.CLIENT_AUTH]
    asked += [ExtendedKeyUsageOID.SERVER_AUTH] if served else []
    return {oid: spell_usage(oid) for oid in (*asked, chain.SIP_DOMAIN, ANY_USAGE)}


_USAGE_NAMES = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
    chain.SIP_DOMAIN: "sipDomain",
    ANY_USAGE: "anyExtendedKeyUsage",
    DOCUMENT_SIGNING: "documentSigning",
}


def spell_usage(oid: x509.ObjectIdentifier) -> str:
    """Write a usage by its name in the RFC, or by its number."""
    return _USAGE_NAMES.get(oid, oid.dotted_string)


def revocation(case: Case) -> Finding:
    """Ask the lists and OCSP answers of the authority that vouched, for the whole path (rule R7, R12)."""
    authority = case.trail.authority
    if not case.trail.path or authority is None:
        return _REVOCATION.unjudged(NO_PATH)
    held = (authority.lists, authority.answers)
    grace, source = max(case.policy.grace, authority.grace), authority.source
    return check_listed(case.listed, held, at=case.at, grace=grace, source=source, live=case.live)


_REVOCATION = Question("revocation", "every certificate of the path in good standing", "RFC 5280 6.3.3; rule R7, R12")


# The order is the order in which an operator reads them. A mutation test takes each out in turn.
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
        "identity": identity,
        "blocked": blocked,
        "topology": topology,
        "name": name,
        "scope": scope,
        "role": role,
        "usage": usage,
        "revocation": revocation,
    }
)
# Asked of every handshake, though the same certificates were accepted before: what these look at is never taken over.
ANEW = frozenset({"handshake", "validity", "revocation"})
WITHOUT_CERTIFICATE = frozenset({"handshake", "engine", "certificate"})  # the rest has nothing to look at
CLIENT_CHECKS: Mapping[str, Check] = MappingProxyType({"handshake": handshake, "certificate": no_certificate_asked})
