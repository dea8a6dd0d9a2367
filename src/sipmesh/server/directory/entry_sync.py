"""The change of one entry, as a SCIM client makes it: compared and taken as each entry of a directory is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.directory.comparison import Comparison, Conflict, Loss, compare
from sipmesh.server.directory.entry_reader import Answer
from sipmesh.storage.users.directory_entry import ACTIVE, LOG_OUT, DirectoryEntry, DirectoryStep, StepKind

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.database.lazy_module import sql
    from sipmesh.storage.users.directory_links import DirectoryLinks, HeldUsers

ROUNDS: Final = 4
"""Steps of one entry at most: a disabled user may be added, enabled, renamed and changed by one request."""


class EntryConflictError(OperatorError):
    """The entry claims what another user has; nothing is changed."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(f"{conflict.user}: {conflict.reason}; {conflict.remedy}")


class TooManyLossesError(OperatorError):
    """Too many users would lose their access; nothing is changed."""


class EntrySync:
    """Changes users in *links* by single entries. *note* writes the audit lines of steps, before they count."""

    def __init__(
        self, links: DirectoryLinks, most_loss: int, note: Callable[[Sequence[DirectoryStep], datetime], None]
    ) -> None:
        self._links, self._most_loss, self._note = links, most_loss, note

    def change(
        self,
        entry_id: str,
        entry: DirectoryEntry | None,
        at: datetime,
        store: Callable[[sql.Connection], None],
        *,
        accept_loss: bool,
    ) -> Mapping[StepKind, int]:
        """Make the user of *entry_id* what *entry* says, None if it is gone; *store* stores the entry with the first step.

        Raises `EntryConflictError` and `TooManyLossesError`, and has changed nothing then.
        """
        counts, is_stored = Counter[StepKind](), False
        for _ in range(ROUNDS):
            held = self._links.held_for(entry_id, entry)
            comparison = self._compared(entry_id, entry, held, at)
            self._must_not_lose(comparison, at, accept_loss=accept_loss)
            if is_stored and not comparison.steps:
                break
            note = partial(self._note, comparison.steps, at)
            self._links.take(
                comparison.steps, at, is_loss=not accept_loss, also=None if is_stored else store, note=note
            )
            counts.update(step.kind for step in comparison.steps)
            is_stored = True
        return counts

    def _compared(self, entry_id: str, entry: DirectoryEntry | None, held: HeldUsers, at: datetime) -> Comparison:
        if entry is None:
            return compare(Answer([]), held, at)
        link = held.links.get(entry_id)
        if self._links.has_other_entry(entry):
            remedy = "change the other entry, or choose another name"
            raise EntryConflictError(Conflict(entry.aor.removeprefix("sip:"), "is the name of another entry", remedy))
        as_active = {**held.links, **({entry_id: replace(link, ended_by=ACTIVE)} if link is not None else {})}
        active = compare(Answer([replace(entry, ended_by=ACTIVE)]), replace(held, links=as_active), at)
        if active.conflicts:  # also of a disabled user: the client learns now what cannot be when it is enabled
            raise EntryConflictError(active.conflicts[0])
        return active if link is None else compare(Answer([entry]), held, at)

    def _must_not_lose(self, comparison: Comparison, at: datetime, *, accept_loss: bool) -> None:
        lost = [step.changed[0] for step in comparison.steps if step.kind in LOG_OUT]
        if accept_loss or not lost:
            return
        losses = [Loss(*counts) for counts in self._links.access_counts(at, lost)]
        for loss in losses:
            if not loss.is_beyond(self._most_loss):
                continue
            users, before = loss.users, loss.before
            raise TooManyLossesError(
                f"nothing is changed: {before} of {users + before} users have lost their access in the last day, and more "
                f"than {self._most_loss} % would; if it is right, an operator accepts it: sipmesh directory apply --accept-loss"
            )
