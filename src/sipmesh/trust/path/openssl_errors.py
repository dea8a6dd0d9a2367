"""Map OpenSSL's path errors to verdict codes, and name those that the judge decides (rule R4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.trust.evidence import EngineError

# X509_V_ERR_INVALID_PURPOSE, for the leaf and its issuers. Only we know a partner's client_usage, and a public CA for servers
# has the same usage in its intermediates. An issuer that is not a CA is another error (24, 79).
USAGE = 26
NO_LIST, STALE_LIST = 3, 12  # our policy and our grace decide
BAD_SIGNATURE = (
    7  # X509_V_ERR_CERT_SIGNATURE_FAILURE: also if another CA has the name and the key identifier of the issuer
)
UNFIT_KEY = (66, 67)  # of the leaf, or of a CA: an anchor with such a key is not taken from a topology
WEAK_SIGNATURE = 68  # X509_V_ERR_CA_MD_TOO_WEAK
UNANCHORED = (2, 18, 19, 20, 21)  # no issuer is known, or the certificate has signed itself
CONSTRAINTS = (1, 47, 48, 49)  # a name that an issuer does not permit, or too many comparisons
UNREAD_CONSTRAINTS = (51, 52, 53)  # OpenSSL reports one of these for every URI constraint

# Numbers as in openssl/x509_vfy.h of OpenSSL 3 and 4 (X509_V_ERR_*).
CODES: dict[int, Code] = {
    **dict.fromkeys(UNANCHORED, Code.UNTRUSTED_ISSUER),
    **dict.fromkeys((4, 6, 7, 24), Code.UNTRUSTED_ISSUER),  # an invalid signature
    **dict.fromkeys((22, 25, 27, 28, 32, 55, 79), Code.UNTRUSTED_ISSUER),  # too long, path length, rejected, not a CA
    9: Code.NOT_YET_VALID,
    10: Code.EXPIRED,
    23: Code.REVOKED,
    **dict.fromkeys((3, 5, 8, 11, 12, 15, 16, 33, 35, 36, 44, 54), Code.REVOCATION_UNKNOWN),
    **dict.fromkeys((26, 39), Code.WRONG_USAGE),
    **dict.fromkeys((37, 80, 82), Code.NOT_A_LEAF),
    **dict.fromkeys((47, 48, 49), Code.ISSUER_NOT_FOR_THIS_NAME),
    **dict.fromkeys((66, 67, 68, 76), Code.WEAK_KEY),
}

# Texts as OpenSSL 3 prints them.
TEXTS: dict[int, str] = {
    2: "unable to get issuer certificate",
    3: "unable to get certificate CRL",
    7: "certificate signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    12: "CRL has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    22: "certificate chain too long",
    24: "invalid CA certificate",
    25: "path length constraint exceeded",
    26: "unsuitable certificate purpose",
    32: "key usage does not include certificate signing",
    34: "unhandled critical extension",
    47: "permitted subtree violation",
    48: "excluded subtree violation",
    51: "unsupported name constraint type",
    52: "unsupported or invalid name constraint syntax",
    53: "unsupported or invalid name syntax",
    66: "EE certificate key too weak",
    67: "CA certificate key too weak",
    68: "CA signature digest algorithm too weak",
    79: "invalid CA certificate",
    81: "path length given without key usage keyCertSign",
    82: "key usage keyCertSign invalid for non-CA certificate",
    85: "missing authority key identifier",
    86: "missing subject key identifier",
    92: "CA certificate does not include key usage extension",
}


def is_left_to_us(error: EngineError) -> bool:
    """Tell whether the verify callback continues after *error*, because a check of the judge decides it."""
    return error.code in (USAGE, NO_LIST, STALE_LIST, *UNREAD_CONSTRAINTS)


def meaning(error: EngineError) -> Code:
    """Return the verdict code of *error*. An error that is not in the table means a malformed certificate."""
    return CODES.get(error.code, Code.MALFORMED_CERTIFICATE)


def tell(error: EngineError) -> str:
    """Write *error* for an operator."""
    return f"error {error.code} at depth {error.depth}: {error.text}"
