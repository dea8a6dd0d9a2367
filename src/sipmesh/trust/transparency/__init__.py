"""Certificate Transparency (RFC 6962): whether a public CA has logged a certificate before it issued it.

What belongs into this package: the logs that the topology names, and the signed certificate timestamps (SCTs) in a certificate.
"""
