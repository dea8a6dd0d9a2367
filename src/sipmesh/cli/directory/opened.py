"""The directory, opened for one command on the management server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.cli.place import Place
    from sipmesh.server.directory.sync import DirectorySync


@contextmanager
def opened(place: Place) -> Iterator[DirectorySync]:
    """Open users and audit log for a sync of the version in force.

    Raises `OperatorError` on another machine, before the first publication, and if the topology names no directory.
    """
    from sipmesh.database.shared import has_management_db
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.directory.directory_reader import most_loss_of
    from sipmesh.server.management.directory_sync import directory_sync
    from sipmesh.storage.management_db import ManagementDb

    loaded = place.in_force()
    most_loss_of(loaded)
    if not has_management_db(place.folder):
        raise OperatorError(
            "no version is published here; run this on the management server, after: sipmesh topology publish"
        )
    management_db = ManagementDb(place.folder)
    try:
        with place.users() as users:
            yield directory_sync(loaded, users, management_db, this_operator())
    finally:
        management_db.close()
