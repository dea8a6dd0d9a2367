"""The page of the directory: the last sync, the entries that it could not take, and where one user comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.management.replies import DIRECTORY, DIRECTORY_EXPLAIN, DirectoryConflict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from sipmesh.server.console.pages.frame import Frame

PATH: Final = "/directory"
CONFLICTS: Final = (
    Column[DirectoryConflict]("User or entry", lambda one: one.user),
    Column[DirectoryConflict]("What is wrong", lambda one: one.reason),
    Column[DirectoryConflict]("Remedy"),
)


class DirectoryPage:
    """Shows the directory of *frame*'s network, and what it has of the user in the query."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the template and its values; the directory itself is asked for the entry of a user only."""
        keys, user = self._frame.view().loaded.topology.directory, request.query.get("user", "")
        if keys is None:
            return "directory.html", {"keys": None}
        known = await self._frame.read(request, DIRECTORY.name)
        found = await self._frame.read(request, DIRECTORY_EXPLAIN.name, user=user) if user else None
        conflicts = Table.of(CONFLICTS, known.conflicts, Wanted.of(request.path, request.query))
        return "directory.html", {"keys": keys, "known": known, "user": user, "found": found, "conflicts": conflicts}
