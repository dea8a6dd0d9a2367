"""Issuance of certificates: profile, lint, journal, signature, lint of the result."""
