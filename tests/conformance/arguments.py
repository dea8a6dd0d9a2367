"""Where a suite and we differ, and why: the only differences that the tests let pass."""

from __future__ import annotations

# Cases that a suite refuses and the stage accepts, by a part of their name; "pedantic" is the word of the suite itself.
ACCEPTED = {
    "max-chain-depth": "the case hands in a depth of its own, which a link has no setting for; ours is fixed",
    "webpki::cn::": "a rule of the CA/Browser Forum: the CN has to repeat a SAN; to us the CN is no name at all",
    "webpki::eku::root-has-eku": "pedantic: a rule of the CA/Browser Forum for roots; an anchor is the operator's word",
    "webpki::eku::ee-anyeku": "pedantic: anyExtendedKeyUsage allows the usage (RFC 5280 4.2.1.12, RFC 5924 4)",
    "webpki::san::san-critical-with-nonempty-subject": "a rule of the CA/Browser Forum; RFC 5280 4.2.1.6 says"
    " SHOULD NOT",
    "rfc5280::aki::cross-signed-root-missing-aki": "pedantic: the certificate without it is an anchor",
    "public-suffix": "pedantic: the name rules are the suite's; the full judge takes no wildcard for a name",
}

# Cases that a suite accepts and the stage refuses, by a pattern of what refused them; the first that fits.
REFUSED = {
    r"leaf: basic constraints say CA:TRUE": "the leaf is a CA: rule R4 has none pose as a server",
    r"certificate: .*(damaged|spki)|DSAPublicKey": "a DSA key, which no link takes",
    r"missing required extension": "both engines want a key usage in every CA (RFC 5280 4.2.1.3)",
    r"must be UtcTime": "a year before 2050 as GeneralizedTime, which RFC 5280 4.1.2.5 forbids; the second engine refuses it",
    r"issuer: issued by .*2011": "the issuer's name is spelt differently above and below; we and the second engine compare"
    " names as they are written",
    r"second-engine: .*signature does not match": "a self-issued CA below a path length of none: the second engine counts it"
    " (RFC 5280 6.1.4 (l) does not)",
    r"the CRL is indirect": "an indirect CRL: CRLs that speak for other issuers are not used, and what they say stays unknown",
    r"the CRL is partial": "the CRL covers some reasons only: such CRLs are not used, and what they say stays unknown",
    r"no CRL of this issuer": "the CRL is signed by a key whose certificate is beside the path, not on it",
}
