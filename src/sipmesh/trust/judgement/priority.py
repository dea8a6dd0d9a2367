"""Choose the code of a refusal if several checks fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

# The most important code first. Errors before a certificate was received come before errors of the certificate. The issuer
# comes before the content, because nothing in a certificate of an unknown issuer can be trusted. Only a blocked name comes
# earlier, and a certificate for devices, which is refused from each issuer. A name mismatch explains a wrong issuer: a
# hijacked DNS answer leads to the real server of another organisation.
# Revocation is late, because a missing CRL is our own fault.
PRIORITY = (
    Code.NOT_TLS,
    Code.PROTOCOL_TOO_OLD,
    Code.TOO_MANY_HANDSHAKES,
    Code.HANDSHAKE_TIMEOUT,
    Code.NO_CERTIFICATE,
    Code.REFUSED_BY_PEER,
    Code.PARTNER_BLOCKED,
    Code.DEVICE_CERTIFICATE,
    Code.UNTRUSTED_ISSUER,
    Code.NAME_MISMATCH,
    Code.ISSUER_NOT_FOR_THIS_NAME,
    Code.REVOKED,
    Code.EXPIRED,
    Code.NOT_YET_VALID,
    Code.NOT_A_DEVICE,
    Code.NOT_A_LEAF,
    Code.WEAK_KEY,
    Code.NO_SIP_IDENTITY,
    Code.AMBIGUOUS_IDENTITY,
    Code.NOT_IN_TOPOLOGY,
    Code.PARTNER_UNKNOWN,
    Code.ROLE_NOT_ALLOWED,
    Code.WRONG_USAGE,
    Code.DANE_MISMATCH,
    Code.NOT_LOGGED,
    Code.DANE_UNKNOWN,
    Code.DANE_REQUIRED,
    Code.STAPLE_MISSING,
    Code.REVOCATION_UNKNOWN,
    Code.MALFORMED_CERTIFICATE,
    Code.HANDSHAKE_FAILED,
)


def choose(findings: Iterable[Finding]) -> Code:
    """Return the verdict code for all findings: the code that an operator needs first.

    No finding is a refusal. A finding that could not be judged is a refusal too.
    """
    findings = tuple(findings)
    if findings and all(finding.passed for finding in findings):
        return Code.ACCEPTED
    return most_telling(finding.code for finding in findings if not finding.passed)


def most_telling(codes: Iterable[Code | None]) -> Code:
    """Return the first of PRIORITY in *codes*; `handshake-failed` if there is none."""
    found = set(codes)
    return next((code for code in PRIORITY if code in found), Code.HANDSHAKE_FAILED)
