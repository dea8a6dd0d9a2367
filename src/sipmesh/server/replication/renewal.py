"""Certificate renewal: when it is due, and the types of the two signed documents.

At two thirds of its certificate's life a server makes a new key, and puts a request for it into its status report. It signs
the request with the key of its present certificate. So a server that delivers the request (a front end, for an edge) cannot
request a certificate for another server. Management signs its answer. The server writes the new certificate and its key to
their files. From there it is handled like every new certificate, which is tested before it is presented.

The requesting server is `server/agent/applicant.py`. Management answers in `server/management/grantor.py`, and renews its own
certificates in `server/management/own_renewal.py`.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

REQUEST = "sipmesh-request"


CERTIFICATE = "sipmesh-certificate"
"""The types of the two signed documents."""


def is_due(certificate: x509.Certificate, at: datetime) -> bool:
    """Return whether two thirds of a certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return at >= begin + (end - begin) * 2 / 3
