"""How commands are typed on this host: by its user, and with the units of the Debian package in the folder of the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sipmesh.cli.doctor.units import SYSTEMD

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGE: Final = Path("/var/lib/sipmesh")
"""The folder of the organisation that the units of the package run; it belongs to the user of the package."""


@dataclass(frozen=True, slots=True)
class TypedCommands:
    """Commands in one folder; *packaged*: it is that of the package, and systemd runs here."""

    packaged: bool

    @classmethod
    def in_folder(cls, folder: Path, systemd: Path = SYSTEMD) -> Self:
        """Say how commands for *folder* are typed; a container has the folder of the package without *systemd*."""
        return cls(packaged=folder.resolve() == PACKAGE and systemd.is_dir())

    def command(self, words: str) -> str:
        """Give the line for `sipmesh` and *words*."""
        return f"runuser -u sipmesh -- sipmesh {words}" if self.packaged else f"sipmesh {words}"

    def start(self, servers: Iterable[str]) -> str:
        """Give the line that starts *servers*."""
        if self.packaged:
            return f"systemctl enable --now {' '.join(f'sipmesh@{server}' for server in servers)}"
        return f"sipmesh serve {' '.join(servers)}"
