"""A system that trusts two of three public roots, and a preset that names the last two."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged
from sipmesh.topology.third_party.presets import Preset, PresetRoot
from sipmesh.trust.x509.certificate import fingerprint

FORGE = Forge(datetime.now(UTC))
ROOTS = tuple(FORGE.root(f"Public Root {n}") for n in range(3))
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"


def preset(*roots: Forged) -> Preset:
    return Preset(
        "public",
        tuple(PresetRoot(root.certificate.subject.rfc4514_string(), fingerprint(root.certificate)) for root in roots),
        ("*.c.public.test",),
        server_auth_only=True,
    )


def trust(file: Path, *roots: Forged) -> None:
    file.write_bytes(b"".join(root.certificate.public_bytes(Encoding.PEM) for root in roots))
