"""Presets: the roots of a public CA, by SHA-256, and the hosts of its CRLs. They are data of a certain date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.typed_json import read_document

if TYPE_CHECKING:
    from collections.abc import Iterable

OLD: Final = timedelta(days=180)
"""Public CAs change roots and hosts several times a year."""


@dataclass(frozen=True, slots=True)
class PresetRoot:
    """One root: the CN of its subject, and the *sha256* of its certificate in hex. The fingerprint decides."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One public CA. *server_auth_only*: it issues no certificate for clientAuth, so a partner needs ``server-ok``."""

    name: str
    roots: tuple[PresetRoot, ...]
    crl_hosts: tuple[str, ...]
    server_auth_only: bool


@dataclass(frozen=True, slots=True)
class PresetSources:
    """From where roots and hosts of CRLs are known, and whether that was compared with something."""

    roots: str
    crl_hosts: str


@dataclass(frozen=True, slots=True)
class Presets:
    """All presets, as they were on *date*, which is ``YYYY-MM-DD``."""

    date: str
    sources: PresetSources
    presets: tuple[Preset, ...]

    def named(self, name: str) -> Preset:
        """Return the preset of that name; raises `OperatorError`."""
        found = next((preset for preset in self.presets if preset.name == name), None)
        if found is None:
            known = ", ".join(preset.name for preset in self.presets)
            raise OperatorError(
                f"there is no preset {name!r}: name one of {known}, or give --ca with --third-party other"
            )
        return found

    def of(self, fingerprints: Iterable[str]) -> tuple[tuple[Preset, PresetRoot], ...]:
        """Return the roots among *fingerprints*, each with its preset."""
        wanted = frozenset(fingerprints)
        return tuple((preset, root) for preset in self.presets for root in preset.roots if root.sha256 in wanted)

    def age(self, at: datetime) -> timedelta:
        """Return how old the presets are at *at*, which has a time zone."""
        return at - datetime.fromisoformat(self.date).replace(tzinfo=UTC)

    def is_old(self, at: datetime) -> bool:
        """Tell whether a newer release has to be looked for."""
        return self.age(at) > OLD


@cache
def presets() -> Presets:
    """Return the presets of this release."""
    return read_document(Presets, files("sipmesh.topology.third_party").joinpath("presets.json").read_bytes())
