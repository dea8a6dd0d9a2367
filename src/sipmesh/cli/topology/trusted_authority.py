"""By which CA `sipmesh partner add` trusts a partner: files and URLs that were given, or the preset of a public CA."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from sipmesh.cli.output import WARN, say
from sipmesh.errors import OperatorError
from sipmesh.topology.document.names import is_url
from sipmesh.trust.role import ClientUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.cli.topology.change import Change
    from sipmesh.topology.third_party.presets import Preset

OTHER: Final = "other"
"""A third-party CA without a preset."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """*roots* and *crls* were given; *system* has more roots in PEM, those of the *preset* of that name, if there is one."""

    roots: tuple[Path, ...]
    crls: tuple[str, ...]
    crl_hosts: tuple[str, ...]
    client_usage: ClientUsage = ClientUsage.STRICT
    preset: str = ""
    system: bytes = b""

    @classmethod
    def of(cls, ca: Sequence[Path], crl: Sequence[str], crl_hosts: Sequence[str], third_party: str) -> Trusted:
        """Return what the options say; raises `typer.BadParameter`, and `OperatorError` for a preset that cannot be used."""
        for name in crl:
            if not is_url(name) and not Path(name).is_file():
                raise typer.BadParameter(f"there is no regular file '{name}'", param_hint="--crl")
        if third_party and third_party != OTHER:
            return cls._of_preset(ca, crl, crl_hosts, third_party)
        if not ca:
            raise typer.BadParameter("give its root certificate, or --third-party with a preset", param_hint="--ca")
        if not crl and not crl_hosts:
            raise typer.BadParameter("give a CRL of each CA, or --crl-host", param_hint="--crl")
        return cls(tuple(ca), tuple(crl), tuple(crl_hosts))

    @classmethod
    def _of_preset(cls, ca: Sequence[Path], crl: Sequence[str], crl_hosts: Sequence[str], name: str) -> Trusted:
        from sipmesh.topology.third_party.presets import presets

        preset = presets().named(name)
        hosts = tuple(dict.fromkeys((*preset.crl_hosts, *crl_hosts)))
        usage = ClientUsage.SERVER_OK if preset.server_auth_only else ClientUsage.STRICT
        return cls(tuple(ca), tuple(crl), hosts, usage, name, _roots_of(preset))

    def entry(self, change: Change, partner: str, folder: Path) -> dict[str, list[str] | None]:
        """Return the keys of the partner's entry, with the files copied to where the topology can name them."""
        roots = change.files(partner, self.roots)
        if self.system:
            roots.append(change.written(partner, f"{self.preset}.pem", self.system))
        files = iter(change.files(partner, [Path(name) for name in self.crls if not is_url(name)]))
        return {
            "anchors": [_named(file, folder) for file in roots],
            "crls": [name if is_url(name) else _named(next(files), folder) for name in self.crls],
            "crl_hosts": list(self.crl_hosts) or None,
        }


def _roots_of(preset: Preset) -> bytes:
    """Return the roots of a preset that this system trusts, in PEM; what it does not trust is said, and left out."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from sipmesh.topology.third_party.system_roots import roots_file, system_roots

    here = system_roots()
    missing = [root.name for root in preset.roots if root.sha256 not in here]
    if missing:
        say(
            f"{roots_file()} does not have these roots of {preset.name}, which are left out: {', '.join(missing)}.",
            style=WARN,
        )
    found = [here[root.sha256] for root in preset.roots if root.sha256 in here]
    if not found:
        raise OperatorError(
            f"{roots_file()} has no root of {preset.name}: update ca-certificates, or give the root with --ca"
        )
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found)


def _named(file: Path, folder: Path) -> str:
    """Return the file as the topology names it: relative if it is below the folder of the topology."""
    full, home = file.resolve(), folder.resolve()
    return os.fspath(full.relative_to(home)) if full.is_relative_to(home) else os.fspath(full)
