"""C2SP x509-limbo, and Netflix bettertls in its form: one certificate shown to a client that means a name."""

from __future__ import annotations

import base64
import json
import lzma
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509

from conformance.stage import Role, Trial
from conformance.suites import SUITES
from sipmesh.trust.x509.certificate import UNREADABLE

FILES = {"limbo": SUITES / "limbo" / "limbo-core.json.xz", "bettertls": SUITES / "bettertls" / "bettertls.json.xz"}
TODAY = datetime(2026, 3, 1, tzinfo=UTC)
ROLES = {"serverAuth": Role.SERVER, "clientAuth": Role.CLIENT}


@lru_cache(maxsize=2)
def cases(suite: str) -> tuple[dict[str, Any], ...]:
    """The cases as the suite has them."""
    with lzma.open(FILES[suite]) as file:
        held: list[dict[str, Any]] = json.load(file)["testcases"]
    return tuple(held)


@lru_cache(maxsize=2)
def trials(suite: str) -> tuple[Trial, ...]:
    """The cases as trials."""
    return tuple(map(trial, cases(suite)))


def trial(held: dict[str, Any]) -> Trial:
    """One case as a trial. It is about usage if its name says so; the others show servers, as a suite for the web must."""
    leaf = der(held["peer_certificate"])
    meant, stamp = held["expected_peer_name"], held["validation_time"]
    named = (meant["kind"], meant["value"]) if meant else None
    roles = frozenset(ROLES[usage] for usage in held["extended_key_usage"] or ["serverAuth"])
    return Trial(
        name=held["id"],
        good=held["expected_result"] == "SUCCESS",
        shown=(leaf, *map(der, held["untrusted_intermediates"])),
        anchors=tuple(map(der, held["trusted_certs"])),
        at=datetime.fromisoformat(stamp) if stamp else TODAY,
        crls=tuple(pem.encode() for pem in held["crls"]) or None,
        whole_path=False,
        meant=named[1].lower() if named and named[0] == "DNS" else "",
        named=named,
        names_fit=named is None or _has(leaf, *named),
        made_for=Role.CLIENT if held["validation_kind"] == "CLIENT" else Role.SERVER,
        asks_usage=roles if "::eku::" in held["id"] else frozenset(),
    )


def der(pem: str) -> bytes:
    """The octets of the first certificate, untouched."""
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END CERTIFICATE-----")[0]
    return base64.b64decode(body)


def _has(leaf: bytes, kind: str, value: str) -> bool:
    """Whether the leaf has the name by the rules of the web (RFC 9525): the left-most label may be a wildcard."""
    try:
        held = (
            x509.load_der_x509_certificate(leaf).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
    except (x509.ExtensionNotFound, TypeError, *UNREADABLE):
        return False
    if kind == "IP":
        return ip_address(value) in held.get_values_for_type(x509.IPAddress)
    if kind == "DNS":
        return any(_fits(name.lower(), value.lower()) for name in held.get_values_for_type(x509.DNSName))
    return value in held.get_values_for_type(x509.RFC822Name)


def _fits(name: str, wanted: str) -> bool:
    if name == wanted:
        return True
    label, _, rest = wanted.partition(".")
    return bool(label) and name == f"*.{rest}" and "." in rest
