"""Root does not work in the folder of another user: the servers of that user could not read what root writes there."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

from sipmesh.errors import OperatorError

ROOT: Final = 0


def for_owner_of(topology: Path) -> Path:
    """Return *topology*; raises `OperatorError` if this is root, and another user has the organisation there."""
    if os.geteuid() == ROOT and (topology.exists() or (topology.parent / "state").exists()):
        _refuse(topology.parent)
    return topology


def for_owner(folder: Path | None) -> Path | None:
    """Return *folder*; raises `OperatorError` if this is root, and the folder belongs to another user."""
    if os.geteuid() == ROOT and folder is not None and folder.exists():
        _refuse(folder)
    return folder


def _refuse(folder: Path) -> None:
    owner = folder.stat().st_uid
    if owner != ROOT:
        name = _name_of(owner)
        raise OperatorError(
            f"{folder.resolve()} belongs to {name}, whose servers cannot read what root writes there; "
            f"run the command as that user: runuser -u {name} -- sipmesh ..."
        )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # such as the user of a container
        return str(user)
