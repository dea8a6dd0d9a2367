"""Revocation: verified CRLs (RFC 5280 section 5) and OCSP responses (RFC 6960), with a known next update."""
