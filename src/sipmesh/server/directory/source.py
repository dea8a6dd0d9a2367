"""Where the entries of users come from: an LDAP directory, or what SCIM clients have written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sipmesh.server.directory.directory_reader import read_directory, read_entry

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.database.lazy_module import sql
    from sipmesh.server.directory.entry_reader import Answer
    from sipmesh.storage.users.directory_entry import DirectoryEntry
    from sipmesh.topology.document.load import Loaded


class Source(Protocol):
    """What a sync reads. Each method raises `OperatorError`."""

    def read(self, at: datetime) -> tuple[Answer, str]:
        """Return all entries at the instant *at*, and the server that has given them."""

    def read_entry(self, user: str, at: datetime, identity: str = "") -> tuple[Answer, str]:
        """Return the entries with the name of *user*, an address without scheme, and the one with *identity*."""

    def made_for(self, aor: str, at: datetime) -> tuple[DirectoryEntry, Callable[[sql.Connection], None]] | None:
        """Return a new entry for a local user who is adopted, and what stores it; None if the source has entries of its own."""


@dataclass(frozen=True, slots=True)
class LdapSource:
    """The LDAP directory of the topology *loaded*."""

    loaded: Loaded

    def read(self, at: datetime) -> tuple[Answer, str]:
        """Read the directory."""
        return read_directory(self.loaded, at)

    def read_entry(self, user: str, at: datetime, identity: str = "") -> tuple[Answer, str]:
        """Read the entries of one user."""
        return read_entry(self.loaded, user, at, identity)

    def made_for(self, aor: str, at: datetime) -> None:  # noqa: ARG002 - the method of `Source`
        """Return None: the directory is only read."""
        return
