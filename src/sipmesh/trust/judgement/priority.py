"""Which one of several reasons names a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

# Most telling first. What happened before there was a certificate comes before what the certificate says. Who signed
# comes before what was signed, since without an issuer every word of a certificate is a stranger's; only a blocked
# name is refused whoever claims it. A name that is not the one we meant explains an issuer that is not for that name
# (a hijacked DNS answer leads to somebody else's rightful server). Lists come late: a missing list is our own lack.
PRIORITY = (
    Code.NOT_TLS,
    Code.PROTOCOL_TOO_OLD,
    Code.TOO_MANY_HANDSHAKES,
    Code.HANDSHAKE_TIMEOUT,
    Code.NO_CERTIFICATE,
    Code.REFUSED_BY_PEER,
    Code.PARTNER_BLOCKED,
    Code.UNTRUSTED_ISSUER,
    Code.NAME_MISMATCH,
    Code.ISSUER_NOT_FOR_THIS_NAME,
    Code.REVOKED,
    Code.EXPIRED,
    Code.NOT_YET_VALID,
    Code.NOT_A_LEAF,
    Code.WEAK_KEY,
    Code.NO_SIP_IDENTITY,
    Code.AMBIGUOUS_IDENTITY,
    Code.NOT_IN_TOPOLOGY,
    Code.PARTNER_UNKNOWN,
    Code.ROLE_NOT_ALLOWED,
    Code.WRONG_USAGE,
    Code.REVOCATION_UNKNOWN,
    Code.MALFORMED_CERTIFICATE,
    Code.HANDSHAKE_FAILED,
)


def choose(findings: Iterable[Finding]) -> Code:
    """Return the one code for all that was found: the reason that an operator most needs to hear.

    No finding at all is a refusal, and so is a finding that could not be judged.
    """
    findings = tuple(findings)
    if findings and all(finding.passed for finding in findings):
        return Code.ACCEPTED
    return most_telling(finding.code for finding in findings if not finding.passed)


def most_telling(codes: Iterable[Code | None]) -> Code:
    """Return the first of PRIORITY among *codes*; a refusal without any is a plain failure."""
    found = set(codes)
    return next((code for code in PRIORITY if code in found), Code.HANDSHAKE_FAILED)
