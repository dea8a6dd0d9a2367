"""Certification paths (RFC 5280 section 6): from a leaf certificate to a trust anchor, by two independent engines."""
