"""The management server of this machine, which a command asks if it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.cli.place import Place


def running_management(place: Place) -> Path | None:
    """Return the control socket of the management server of this machine, None if none runs."""
    from sipmesh.server.control_socket import SOCKET_SUFFIX, STATE, is_answered

    for name in managers(place):
        socket = place.folder / STATE / f"{name}{SOCKET_SUFFIX}"
        if is_answered(socket):
            return socket
    return None


def managers(place: Place) -> list[str]:
    """Return the management servers of the newest version, or of the draft if no version is published.

    Those of the draft count too while the database of management cannot be read: the server that runs says so.
    """
    from sipmesh.errors import OperatorError
    from sipmesh.server.replication.document_store import signers_of

    try:
        loaded = place.in_force()
    except OperatorError:
        loaded = place.load()
    return sorted(signers_of(loaded))
