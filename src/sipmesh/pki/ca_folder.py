"""Where the generations of a CA are in the folder of their organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def generation_of(folder: Path) -> int:
    """Give the generation of the CA in *folder*: generations after the first are in numbered subfolders."""
    return int(folder.name) if folder.name.isdigit() else 1


def organisation_of(folder: Path) -> Path:
    """Give the folder of the organisation whose CA is in *folder*."""
    return folder.parent.parent if folder.name.isdigit() else folder.parent
