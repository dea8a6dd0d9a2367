"""Rows of ours are in the store again, after any change there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.registrar.binding_lookups import BindingLookups
from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
from sipmesh.server.proxy.registrar.pending_registration import RunningChange
from sipmesh.server.proxy.registrar.store_follower import CHECKED_AT_A_TIME, RESTORED_AT_A_TIME, StoreFollower
from sipmesh.storage.location_service.locations import StoredRows, Write, WriteResult
from storage.members import ALICE, ELSEWHERE, FE1
from storage.members import PHONE as STORED
from support.memory_locations import MemoryLocations, MemoryStore
from support.telling import Told

PHONE = replace(STORED, expires_at=1_000.0)


class Written(MemoryLocations):
    """A store whose writes a test ends by hand; *marks* counts how often all our rows were said to be in it."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.writes: list[Write] = []
        self.marks = 0
        self.reads: list[str] = []

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:  # noqa: ARG002 - no server answers
        """Keep whose rows are read."""
        self.reads.append(aor)

    def write(self, write: Write) -> None:
        """Keep the write."""
        self.writes.append(write)

    def restored(self) -> None:
        """Count the mark."""
        self.marks += 1


class Following:
    """The follower of fe1, with *rows* in memory."""

    def __init__(self, *rows: Binding) -> None:
        self.now, self.store, self.told = 100.0, Written(), Told()
        self.known = KnownBindings(FE1, self.store.versions, self.store.slot, OtherProcesses())
        self.changes: dict[str, RunningChange] = {}
        self.follower = StoreFollower(self.known, self.store, self.changes, lambda: self.now, self.told.log)
        self.lookups = BindingLookups(self.known, self.store, lambda: self.now, self.follower.missing)
        for row in rows:
            self.known.accept_written(row.aor, [row], [], self.result())

    def result(self) -> WriteResult:
        """What the store says of a write that changes nothing for others."""
        version = self.store.versions[self.store.slot(ALICE)]
        return WriteResult(frozenset(), version, version)

    @property
    def checked(self) -> list[str]:
        """The users whose rows were read again."""
        return self.store.reads

    def sweep(self) -> None:
        """Half a second has passed."""
        self.follower.sweep(self.now, self.lookups)

    def restored(self) -> list[Sequence[Binding]]:
        """The rows that were stored again."""
        return [write.put for write in self.store.writes if write.restores]


def phones(count: int) -> list[Binding]:
    """One phone for each of *count* users."""
    return [replace(PHONE, aor=f"sip:user{number}@example.test", flow=number) for number in range(count)]


def test_lost_rows_are_stored_again_and_then_the_store_is_informed() -> None:
    one = Following(PHONE)
    one.follower.forgotten()
    assert (one.follower.waiting, one.store.marks) == (1, 0)
    one.sweep()
    assert one.restored() == [(PHONE,)]
    assert (one.follower.waiting, one.store.marks) == (0, 1)


def test_store_that_has_lost_nothing_is_informed_at_once() -> None:
    one = Following()
    one.follower.forgotten()
    assert one.store.marks == 1


def test_many_lost_rows_are_stored_in_slices() -> None:
    """Each slice takes some milliseconds, in which no message is served."""
    one = Following(*phones(RESTORED_AT_A_TIME + 1))
    one.follower.forgotten()
    one.sweep()
    assert (len(one.restored()), one.store.marks) == (RESTORED_AT_A_TIME, 0)
    one.sweep()
    assert (len(one.restored()), one.store.marks) == (RESTORED_AT_A_TIME + 1, 1)


def test_row_that_is_gone_meanwhile_is_not_stored_again() -> None:
    one = Following(PHONE)
    one.follower.forgotten()
    one.known.remove([PHONE])
    one.sweep()
    assert one.restored() == []
    assert one.store.marks == 1


@pytest.mark.parametrize("made", [True, False])
def test_row_that_was_renewed_while_it_was_stored_stays_as_it_is(*, made: bool) -> None:
    one = Following(PHONE)
    one.follower.forgotten()
    one.sweep()
    before = one.known.ours(ALICE, one.now)
    one.store.writes[0].done(one.result() if made else None)
    assert one.known.ours(ALICE, one.now) == before


def test_doubted_rows_are_read_again_in_slices() -> None:
    one = Following(*phones(CHECKED_AT_A_TIME + 1))
    one.follower.doubted()
    one.sweep()
    assert len(one.checked) == CHECKED_AT_A_TIME
    one.sweep()
    assert len(one.checked) == CHECKED_AT_A_TIME + 1
    assert one.follower.waiting == 0


def test_change_of_another_client_is_looked_at_for_users_of_ours_only() -> None:
    one = Following(PHONE)
    one.follower.changed(ALICE)
    one.follower.changed("sip:nobody@example.test")
    one.changes["sip:bob@example.test"] = RunningChange(frozenset())
    one.follower.changed("sip:bob@example.test")
    one.sweep()
    assert one.checked == [ALICE, "sip:bob@example.test"]


def test_missing_row_is_stored_again_unless_a_register_is_about_to_change_it() -> None:
    one = Following(PHONE)
    one.changes[ALICE] = RunningChange(frozenset({PHONE.key}))
    one.follower.missing(ALICE, [PHONE])
    assert one.restored() == []
    del one.changes[ALICE]
    one.follower.missing(ALICE, [PHONE, ELSEWHERE])
    assert one.restored() == [(PHONE, ELSEWHERE)]


def test_failure_and_its_end_are_reported_to_the_operator() -> None:
    one = Following()
    one.follower.store_failing(OperatorError("bindings.db is locked"))
    assert one.follower.is_failing
    assert one.told.last("registrations cannot be stored")["why"] == "bindings.db is locked"
    one.follower.store_working()
    assert not one.follower.is_failing
    assert list(one.told.events("registrations can be stored again"))
