"""Requests and registrations that wait until the bindings of a user have been read from the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.timeout_queue import TimeoutQueue

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
    from sipmesh.storage.location_service.locations import Locations, StoredRows

LOOKUP_S: Final = 3.0
"""How long a lookup may take. Reading takes a millisecond at most unless the disk hangs."""

MOST_WAITING: Final = 10_000
"""Requests that wait for a lookup, all users together; a request above it is answered 503."""

MOST_READS: Final = 3
"""How often rows are read again because another server has changed them meanwhile; then they are used once, and not kept."""

Then = Callable[["Sequence[Binding] | None"], None]
"""What goes on with the rows of a user; with None where they cannot be read."""


class BindingLookups:
    """Reads what is not in memory; *clock* gives seconds of the loop. At most *most_waiting* requests wait at a time.

    *missing* is called with the rows of ours that another client has removed from the store.
    """

    def __init__(
        self,
        known: KnownBindings,
        locations: Locations,
        clock: Callable[[], float],
        missing: Callable[[str, list[Binding]], None],
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._missing = missing
        self._known, self._locations, self._clock, self._most_waiting = known, locations, clock, most_waiting
        self._waiting: dict[str, list[tuple[Then, bool]]] = {}
        self._reads: dict[str, int] = {}
        self._due: TimeoutQueue[str] = TimeoutQueue(LOOKUP_S)
        self.count = 0

    def look_up(self, aor: str, then: Then, *, needs_proof: bool = True) -> None:
        """Have *then* called with the live rows of *aor*: now if they are in memory, else once they have been read.

        *needs_proof*: it gets None instead of no rows while another server may have rows that the store lacks.
        """
        rows = self._known.of(aor, self._clock())
        if rows is not None:
            then(rows)
            return
        self._wait(aor, then, needs_proof=needs_proof)

    def check(self, aor: str) -> None:
        """Read the rows of *aor* again, also if they are known: rows of ours may be missing there."""
        if aor not in self._waiting:
            self._wait(aor, _nobody_waits, needs_proof=False)

    def _wait(self, aor: str, then: Then, *, needs_proof: bool) -> None:
        if self.count >= self._most_waiting:
            then(None)
            return
        self.count += 1
        waiting = self._waiting.setdefault(aor, [])
        waiting.append((then, needs_proof))
        if len(waiting) == 1:
            self._due.add(aor, self._clock())
            self._read(aor)

    def _read(self, aor: str) -> None:
        self._reads[aor] = self._reads.get(aor, 0) + 1
        self._locations.find(aor, lambda stored: self._found(aor, stored))

    def _found(self, aor: str, stored: StoredRows | None) -> None:
        """Go on with what was read, unless another server has written meanwhile: then it is read again."""
        if stored is None:
            self._give_up(aor)
            return
        is_current = self._known.is_current(aor, stored)
        if not is_current and aor in self._waiting and self._reads.get(aor, 0) < MOST_READS:
            self._read(aor)
            return
        again = self._known.accept_stored(aor, stored, self._clock())
        if again:
            self._missing(aor, again)
        self._go_on(aor, self._known.kept(aor, self._clock()), is_proved=stored.complete)

    def _give_up(self, aor: str) -> None:
        """Go on without the store: by the rows of our own flows, if there are any."""
        self._go_on(aor, self._known.ours(aor, self._clock()) or None)

    def _go_on(self, aor: str, rows: Sequence[Binding] | None, *, is_proved: bool = True) -> None:
        self._due.discard(aor)
        self._reads.pop(aor, None)
        waiting = self._waiting.pop(aor, [])
        self.count -= len(waiting)
        for then, needs_proof in waiting:
            then(rows if rows or is_proved or not needs_proof else None)

    def sweep(self, now: float) -> None:
        """Give up the lookups that have taken too long."""
        while (aor := self._due.pop_expired(now)) is not None:
            self._give_up(aor)


def _nobody_waits(_rows: Sequence[Binding] | None) -> None:
    """Do nothing with the rows."""
