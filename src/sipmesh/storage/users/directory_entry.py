"""One user as the directory has it, the user's link to that entry as we store it, and the steps that bring both together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

ACTIVE: Final = ""


class Ended(StrEnum):
    """Why an entry gives no access."""

    DISABLED = "disabled"
    EXPIRED = "expired"
    REMOVED = "removed"


DAY: Final = timedelta(days=1)
"""For how long a loss is counted."""


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """An entry that is a user: *id* is objectGUID or entryUUID, *aor* the address here, *aliases* have keys of aliases.

    *ended_by* is empty, or an `Ended`. *pool* is the home pool that a group decides, None if none does, and *classes* are the
    classes of numbers that groups give.
    """

    id: str
    aor: str
    dn: str = ""
    name: str = ""
    mail: str = ""
    aliases: tuple[str, ...] = ()
    ended_by: str = ACTIVE
    pool: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DirectoryLink:
    """A user who comes from the entry *id*, as of the last sync.

    *ended_by* says why the directory has disabled the user here, and *since* when that changed; *is_loss* tells that it counts
    among the losses of its day, also when the directory has enabled the user again. *to_revoke* are addresses whose device
    certificates are still to be revoked.
    """

    id: str
    aor: str
    since: datetime
    dn: str = ""
    name: str = ""
    mail: str = ""
    aliases: tuple[str, ...] = ()
    ended_by: str = ACTIVE
    is_loss: bool = False
    to_revoke: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


class StepKind(StrEnum):
    """What a sync does with one user."""

    ADD = "add"
    RENAME = "rename"
    UPDATE = "update"
    DISABLE = "disable"
    ENABLE = "enable"


LOG_OUT: Final = frozenset({StepKind.RENAME, StepKind.DISABLE})
"""The steps that log the phones of a user out."""


@dataclass(frozen=True, slots=True)
class DirectoryStep:
    """One step: *link* is what was stored before, None for a new user; *entry* is None if the entry is gone.

    *ended_by* is the `Ended` of a user who is disabled. *adds* and *drops* are keys of aliases, *pool* is a new home pool.
    """

    kind: StepKind
    entry: DirectoryEntry | None
    link: DirectoryLink | None
    ended_by: str = ACTIVE
    adds: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    pool: str | None = None

    @property
    def aor(self) -> str:
        """The address of the user, after the step."""
        keeps = self.link is not None and self.kind is not StepKind.RENAME
        return self.link.aor if self.link is not None and (keeps or self.entry is None) else self._entry.aor

    @property
    def changed(self) -> tuple[str, ...]:
        """The addresses that change."""
        return (self.link.aor, self.aor) if self.kind is StepKind.RENAME and self.link is not None else (self.aor,)

    @property
    def _entry(self) -> DirectoryEntry:
        assert self.entry is not None  # noqa: S101 - a step has an entry, a link, or both
        return self.entry
