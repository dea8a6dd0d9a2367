"""Where one user comes from, as `sipmesh directory explain --json`, the console and the API show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryLink

if TYPE_CHECKING:
    from sipmesh.server.directory.sync import Explained


@dataclass(frozen=True, slots=True)
class ExplainReport:
    """The *entries* that *server* has of *user*, and the *link* of the user here, None for a local user.

    *is_user* tells whether we have the user. *unusable* are entries that are no user, *verdict* says what a sync makes of both
    sides, and *remedy* what mends a conflict.
    """

    user: str
    server: str
    link: DirectoryLink | None
    entries: Sequence[DirectoryEntry]
    unusable: Sequence[str]
    verdict: str
    remedy: str
    is_user: bool

    @classmethod
    def of(cls, found: Explained) -> Self:
        """Report what was *found*."""
        unusable = [f"{one.dn}: {one.reason}" for one in found.answer.unusable.values()]
        unusable += [f"{user}: {reason}" for user, reason in found.answer.faults]
        verdict, remedy = found.verdict()
        return cls(found.user, found.server, found.link, found.answer.entries, unusable, verdict, remedy, found.is_user)
