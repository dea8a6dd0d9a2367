"""What SCIM clients have written, as the source of a sync."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.storage.users.scim_rows import put_resource

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.database.lazy_module import sql
    from sipmesh.server.directory.entry_reader import Answer
    from sipmesh.storage.users.directory_entry import DirectoryEntry
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded

SCIM: Final = "SCIM"
"""What stands for the server of a directory."""


@dataclass(frozen=True, slots=True)
class ScimSource:
    """The resources in *users*. The library of SCIM is loaded by the first use, so that servers without SCIM need no memory."""

    loaded: Loaded
    users: Users

    def read(self, at: datetime) -> tuple[Answer, str]:  # noqa: ARG002 - the method of `Source`
        """Return all users."""
        from sipmesh.server.scim.scim_store import scim_answer

        return scim_answer(self.loaded, self.users), SCIM

    def read_entry(self, user: str, at: datetime, identity: str = "") -> tuple[Answer, str]:  # noqa: ARG002 - as `read`
        """Return one user."""
        from sipmesh.server.scim.scim_store import scim_answer

        return scim_answer(self.loaded, self.users, user, identity), SCIM

    def made_for(self, aor: str, at: datetime) -> tuple[DirectoryEntry, Callable[[sql.Connection], None]]:
        """Return a resource of a local user, whom clients find by its name before they add any."""
        from sipmesh.server.scim.scim_store import resource_for

        row, entry = resource_for(aor, at)
        return entry, partial(put_resource, resource=row)
