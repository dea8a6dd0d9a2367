"""New revocations, as they are sent ahead of the CRL that contains them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable

from sipmesh.errors import RemoteError
from sipmesh.strict_json import read_json
from sipmesh.trust.x509.certificate import CertificateId

REVOKED = "sipmesh-revoked"

MOST = 10_000


def revoked_payload(organisation: str, number: int, named: Iterable[CertificateId]) -> bytes:
    """Return the document: issuers as DER in base64, serial numbers in hex; at most ``MOST`` of them."""
    rows = sorted((b64encode(issuer).decode(), f"{serial:x}") for issuer, serial in named)
    document = {"format": 1, "organisation": organisation, "number": number, "revoked": rows[:MOST]}
    return json.dumps(document, separators=(",", ":")).encode()


def named_in(payload: bytes) -> frozenset[CertificateId]:
    """Read the document; raises `RemoteError` if it cannot be read."""
    try:
        document = read_json(payload)
        return frozenset((b64decode(issuer, validate=True), int(serial, 16)) for issuer, serial in document["revoked"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RemoteError("revocations that cannot be read", rule="rule R7", status=488) from None
