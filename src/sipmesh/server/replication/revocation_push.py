"""New revocations, as they are sent ahead of the CRL that contains them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from sipmesh.errors import RemoteError
from sipmesh.trust.x509.certificate import CertificateId
from sipmesh.typed_json import Base64, UnreadableJsonError, read_document

REVOKED = "sipmesh-revoked"

MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Revocations:
    revoked: list[tuple[Base64, str]]


def revoked_payload(organisation: str, number: int, named: Iterable[CertificateId]) -> bytes:
    """Return the document: issuers as DER in base64, serial numbers in hex; at most ``MOST`` of them."""
    rows = sorted((b64encode(issuer).decode(), f"{serial:x}") for issuer, serial in named)
    document = {"format": 1, "organisation": organisation, "number": number, "revoked": rows[:MOST]}
    return json.dumps(document, separators=(",", ":")).encode()


def named_in(payload: bytes) -> frozenset[CertificateId]:
    """Read the document; raises `RemoteError` if it cannot be read."""
    try:
        rows = read_document(_Revocations, payload).revoked
        return frozenset((issuer, int(serial, 16)) for issuer, serial in rows)
    except (ValueError, UnreadableJsonError) as wrong:
        raise RemoteError(f"revocations that cannot be read ({wrong})", rule="rule R7", status=488) from None
