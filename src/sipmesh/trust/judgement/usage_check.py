"""The check of key usages: the leaf and every issuer allow the use of the key in this handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_subject
from sipmesh.trust.path import chain
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING, extension

if TYPE_CHECKING:
    from sipmesh.trust.judgement.evaluation import Evaluation

ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


def usage(evaluation: Evaluation) -> Finding:
    """Check that the leaf and every issuer allow the use of the key in this handshake.

    OpenSSL leaves the usage of the leaf to this check. Public CAs no longer issue clientAuth. So a partner's ``client_usage``
    may allow the connecting side to present serverAuth only. Without the extension every usage is allowed (RFC 5280
    4.2.1.12). id-kp-sipDomain allows both sides (RFC 5924 4).
    """
    allowed = _usages(evaluation)
    asked = CheckQuestion(
        "usage", f"digitalSignature and {' or '.join(allowed.values())}", "RFC 5280 4.2.1.12; RFC 5924 4"
    )
    bits = extension(evaluation.line[0], x509.KeyUsage)
    if bits is not None and not bits.digital_signature:
        return asked.refused("the key usage lacks digitalSignature", Code.WRONG_USAGE)
    for certificate in evaluation.line[:-1] or evaluation.line:
        listed = extension(certificate, x509.ExtendedKeyUsage)
        if listed is not None and not any(oid in allowed for oid in listed):
            saw = f"{tell_subject(certificate)} has only {spell_usages(listed)}"
            return asked.refused(saw, Code.WRONG_USAGE)
    return asked.passed("allowed")


def _usages(evaluation: Evaluation) -> dict[x509.ObjectIdentifier, str]:
    """Return the usages that are accepted for the peer's side of the handshake, by their names."""
    served = evaluation.opened or (
        evaluation.peer is not None and evaluation.peer.client_usage is ClientUsage.SERVER_OK
    )
    asked = [] if evaluation.opened else [ExtendedKeyUsageOID.CLIENT_AUTH]
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
    """Write the name of a usage, or its number if it has no name."""
    return _USAGE_NAMES.get(oid, oid.dotted_string)


def spell_usages(listed: x509.ExtendedKeyUsage | None) -> str:
    """Write the names of the usages in a certificate, None for a certificate without the extension."""
    return "no extended key usage" if listed is None else ", ".join(map(spell_usage, listed))
