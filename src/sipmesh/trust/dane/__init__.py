"""DANE (RFC 6698): what the DNS of a partner says of its certificate, where DNSSEC proves it.

What belongs into this package: TLSA records, and whether a certification path matches one. DNS is asked elsewhere.
"""
