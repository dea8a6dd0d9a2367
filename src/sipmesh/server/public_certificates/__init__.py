"""Certificates of a public CA for phones and browsers, which a server orders and renews by ACME (RFC 8555).

What belongs into this package: the account, orders, challenges, and what is asked of a new certificate. How certificates are
presented is in `sipmesh.server.certificates`, and our own ACME server in `sipmesh.server.enrolment`.
"""
