"""A front end that signs calls: its certificate, with the SIP domain in it, and its key."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from sipmesh.demo.forge import Forge, Wish

FORGE = Forge(datetime(2026, 11, 24, 12, tzinfo=UTC))
SIGNER = FORGE.forge(
    Wish("fe1.example.test", dns=("example.test",), ends=timedelta(days=90)), FORGE.organisation("Example")
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def mirrored(value: str) -> str:
    """Give an Identity field with the other valid ECDSA signature of the same r, which needs no key to make."""
    token, _, params = value.partition(";")
    signed, _, signature = token.rpartition(".")
    octets = urlsafe_b64decode(signature + "==")
    other = P256_ORDER - int.from_bytes(octets[32:])
    return f"{signed}.{urlsafe_b64encode(octets[:32] + other.to_bytes(32)).decode().rstrip('=')};{params}"
