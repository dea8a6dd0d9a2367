"""PASSporT (RFC 8225): the signed statement who calls whom, and with which DTLS fingerprints (RFC 8224)."""
