"""Follows the store of bindings: rows of ours that it has lost are stored again, and a failure is reported.

The rows in memory count. The store may lose them, and another client may remove them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.registrar.known_bindings import find_row
from sipmesh.storage.location_service.locations import Write, WriteResult

if TYPE_CHECKING:
    from sipmesh.errors import OperatorError
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.registrar.binding_lookups import BindingLookups
    from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
    from sipmesh.server.proxy.registrar.pending_registration import RunningChange
    from sipmesh.storage.location_service.locations import Locations

RESTORED_AT_A_TIME: Final = 2_000
"""Users whose rows are stored again in one go, after the store has lost them: it takes some milliseconds."""

CHECKED_AT_A_TIME: Final = 1_000
"""Users whose rows are read in one go, after another client has changed them."""


class StoreFollower:
    """Keeps the rows of *known* in *locations*. Implements `locations.StoreEvents`.

    *changes* are the changes of REGISTER requests that are being stored, by address of record. *clock* gives seconds of the
    loop. *is_failing*: the store cannot be written now.
    """

    def __init__(
        self,
        known: KnownBindings,
        locations: Locations,
        changes: dict[str, RunningChange],
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._known, self._locations, self._changes = known, locations, changes
        self._clock, self._log = clock, log
        self._to_restore: list[str] = []
        self._to_check: dict[str, None] = {}
        self.is_failing = False

    @property
    def waiting(self) -> int:
        """How many users have rows that are to be stored or read again."""
        return len(self._to_restore) + len(self._to_check)

    def forgotten(self) -> None:
        """The store has lost our rows: store them again, in slices."""
        self._to_restore = self._known.aors()
        if not self._to_restore:
            self._locations.restored()

    def doubted(self) -> None:
        """Rows of ours may be missing from the store: read them all again, in slices."""
        self._to_check = dict.fromkeys(self._known.aors())

    def changed(self, aor: str) -> None:
        """Another client has changed the rows of *aor*: see soon whether those of ours are still there."""
        if self._known.has_rows_of(aor) or aor in self._changes:
            self._to_check[aor] = None

    def store_failing(self, problem: OperatorError) -> None:
        """The store cannot be written: what it would have to take is refused at once."""
        self.is_failing = True
        self._log.error("registrations cannot be stored", why=str(problem))

    def store_working(self) -> None:
        """The store can be written again."""
        self.is_failing = False
        self._log.info("registrations can be stored again")

    def missing(self, aor: str, rows: Sequence[Binding]) -> None:
        """Store removed rows of ours again, except those that a REGISTER is about to change."""
        running = self._changes.get(aor)
        lost = [row for row in rows if running is None or row.key not in running.keys]
        if lost:
            self._put_again(aor, lost)

    def sweep(self, now: float, lookups: BindingLookups) -> None:
        """Store and read the next slices again; called about twice a second."""
        if self._to_restore:
            self._restore(now)
        for aor in list(islice(self._to_check, CHECKED_AT_A_TIME)):
            del self._to_check[aor]
            lookups.check(aor)

    def _restore(self, now: float) -> None:
        aors, self._to_restore = self._to_restore[:RESTORED_AT_A_TIME], self._to_restore[RESTORED_AT_A_TIME:]
        for aor in aors:
            rows = self._known.ours(aor, now)
            if rows:
                self._put_again(aor, rows)
        if not self._to_restore:
            self._locations.restored()

    def _put_again(self, aor: str, rows: Sequence[Binding]) -> None:
        put = tuple(rows)
        self._locations.write(Write(aor, put, (), lambda result: self._restored(aor, put, result), restores=True))

    def _restored(self, aor: str, put: Sequence[Binding], result: WriteResult | None) -> None:
        """Follow a write of rows that were stored before: they may have been renewed or removed meanwhile."""
        ours = self._known.ours(aor, self._clock())
        same = [row for row in (find_row(ours, row.key, row.token) for row in put) if row is not None]
        if same and result is not None:
            self._known.accept_written(aor, same, (), result)
