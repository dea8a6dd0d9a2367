"""Digest authentication (RFC 3261 section 22, RFC 8760) and the delays after failed logins."""
