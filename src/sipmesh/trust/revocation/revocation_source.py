"""Where the revocation status of an authority's certificates comes from: CRLs, OCSP responses, or both."""

from __future__ import annotations

from enum import StrEnum


class RevocationSource(StrEnum):
    """The source of the revocation status of an authority's certificates. Without a status, a certificate is refused."""

    LISTS = "lists"  # a valid CRL is required; OCSP responses are not
    ANSWERS = "ocsp"  # a CRL decides if there is one; otherwise a valid OCSP response is required
    BOTH = "both"  # a valid CRL and a valid OCSP response are required
