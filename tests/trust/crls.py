"""CRLs of one CA, as the forge makes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cryptography import x509

from sipmesh.demo.forge import Forge, Forged
from sipmesh.trust.revocation.crl import RevocationList
from trust.network import NOON

NOW = timedelta(0)
WEEK = timedelta(days=7)
FORGE = Forge(NOON)
CA = FORGE.organisation("Example")
LEAF = FORGE.server(CA, "fe1.example.test", crl_points=("http://crl.test/1.crl",))


def load(*revoked: Forged | int, issuer: Forged = CA, **changes: Any) -> RevocationList:
    """A list as the forge makes it, read back."""
    return RevocationList.load(FORGE.revocations(issuer, revoked, **changes))


def distribution_point(**changes: Any) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extension that divides the CRLs of a CA (RFC 5280 5.2.5)."""
    asked: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return ((x509.IssuingDistributionPoint(**(asked | changes)), True),)
