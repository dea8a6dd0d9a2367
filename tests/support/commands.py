"""Where the commands of real peers are: Debian keeps some out of the PATH of users."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PEER_ROOT = Path(os.environ.get("SIPMESH_PEER_ROOT", "/opt/sipmesh-peers"))
"""The folder of Debian sid that `tools/peers` makes, for peers that Debian stable lacks."""

_SERVERS = ("/usr/sbin", "/sbin")
_POSTGRESQL = Path("/usr/lib/postgresql")


def found(command: str) -> str | None:
    """Give the path of *command*, None where it is not installed; of several PostgreSQLs the newest counts."""
    versions = sorted(_POSTGRESQL.glob("[0-9]*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    places = [os.environ.get("PATH", os.defpath), *_SERVERS, *map(str, versions), str(PEER_ROOT / "usr/sbin")]
    return shutil.which(command, path=os.pathsep.join(places))
