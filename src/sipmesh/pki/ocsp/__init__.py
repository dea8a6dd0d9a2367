"""OCSP responses of our CAs (RFC 6960, RFC 5019): the status of a certificate by the ledger, signed by its issuer.

What belongs into this package: a request in, a response out. HTTP is in `sipmesh.server.management`; the responses of others are
read in `sipmesh.trust.revocation.ocsp`.
"""
