"""Lookups: one read for all who wait, read again where another server has written meanwhile, and an end where none comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.registrar.binding_lookups import LOOKUP_S, MOST_READS, BindingLookups
from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
from sipmesh.storage.location_service.locations import StoredRows, WriteResult
from storage.members import ALICE, BOB, ELSEWHERE, FE1, PHONE
from support.memory_locations import MemoryLocations, MemoryStore


class Asked(MemoryLocations):
    """A store whose answers a test gives by hand."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.reads: list[Callable[[StoredRows | None], None]] = []
        self.store.versions[:] = [5] * len(self.store.versions)

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:  # noqa: ARG002 - a test answers
        """Take note of who asks."""
        self.reads.append(found)


class Lookups:
    """Lookups of one server, and what they have given."""

    def __init__(self) -> None:
        self.now, self.store = 100.0, Asked()
        self.known = KnownBindings(FE1, self.store.versions, self.store.slot, OtherProcesses())
        self.lookups = BindingLookups(self.known, self.store, lambda: self.now, self.missing)
        self.given: list[Sequence[Binding] | None] = []
        self.again: list[Binding] = []

    def missing(self, _aor: str, rows: list[Binding]) -> None:
        """Take note of rows that have to be stored again."""
        self.again += rows

    def ask(self, aor: str = ALICE) -> None:
        """Look a user up."""
        self.lookups.look_up(aor, self.given.append)

    def change(self) -> None:
        """Another server changes the rows of every user."""
        self.store.store.versions[:] = [version + 1 for version in self.store.store.versions]

    def answer(self, *rows: Binding) -> None:
        """The store answers the oldest read with what it has now."""
        self.store.reads.pop(0)(StoredRows(rows, self.store.versions[self.store.slot(ALICE)]))


@pytest.fixture(name="one")
def _one() -> Lookups:
    return Lookups()


def test_all_who_ask_for_a_user_wait_for_one_read(one: Lookups) -> None:
    one.ask()
    one.ask()
    assert len(one.store.reads) == 1
    assert one.lookups.count == 2
    one.answer(ELSEWHERE)
    assert one.given == [[ELSEWHERE], [ELSEWHERE]]
    one.ask()
    assert len(one.given) == 3, "what is in memory is given at once"
    assert one.lookups.count == 0


def test_what_has_changed_while_it_was_read_is_read_again(one: Lookups) -> None:
    one.ask()
    stale = StoredRows((), one.store.versions[0])
    one.change()
    one.store.reads.pop(0)(stale)
    assert one.given == []
    one.answer(ELSEWHERE)
    assert one.given == [[ELSEWHERE]]


def test_what_changes_all_the_time_is_used_once_and_not_kept(one: Lookups) -> None:
    one.ask()
    for _ in range(MOST_READS):
        stale = StoredRows((ELSEWHERE,), one.store.versions[0])
        one.change()
        one.store.reads.pop(0)(stale)
    assert one.given == [[ELSEWHERE]]
    assert one.known.of(ALICE, one.now) is None


@pytest.mark.parametrize(("left_s", "given"), [(1, 1), (0, 0)])
def test_row_of_ours_that_has_ended_is_not_given_out_after_changes_of_its_user(
    one: Lookups, left_s: int, given: int
) -> None:
    """The store has it still, without its end: a REGISTER that renewed it would renew a row that no server has."""
    ours = replace(PHONE, expires_at=one.now + 60)
    one.known.accept_written(ALICE, [ours], (), WriteResult(frozenset(), 5, 6))
    one.now += 60 - left_s
    one.known.expire(one.now)
    one.ask()
    for _ in range(MOST_READS):
        stale = StoredRows((PHONE,), one.store.versions[0])
        one.change()
        one.store.reads.pop(0)(stale)
    assert one.given == [[ours] * given]


@pytest.mark.parametrize(("late_s", "given"), [(LOOKUP_S - 0.01, []), (LOOKUP_S, [None])])
def test_lookup_that_takes_too_long_is_given_up(one: Lookups, late_s: float, given: list[None]) -> None:
    one.ask()
    one.lookups.sweep(one.now + late_s)
    assert one.given == given
    one.answer(ELSEWHERE)
    one.ask()
    assert one.given[-1] == [ELSEWHERE], "the answer was kept all the same"


def test_rows_of_our_own_flows_are_used_where_the_store_cannot_be_read(one: Lookups) -> None:
    ours = replace(PHONE, expires_at=one.now + 60)
    one.known.accept_written(ALICE, [ours], (), WriteResult(frozenset(), 5, 6))
    one.ask()
    one.ask(BOB)
    for found in list(one.store.reads):
        found(None)
    assert one.given == [[ours], None]


@pytest.mark.parametrize(("most", "given"), [(2, []), (1, [None])])
def test_only_so_many_requests_wait(one: Lookups, most: int, given: list[None]) -> None:
    one.lookups = BindingLookups(one.known, one.store, lambda: one.now, one.missing, most)
    one.ask()
    one.ask(BOB)
    assert one.given == given


@pytest.mark.parametrize(("complete", "given"), [(True, []), (False, None)])
def test_no_rows_are_given_only_if_no_other_server_can_have_some(
    one: Lookups, given: list[Binding] | None, *, complete: bool
) -> None:
    """A REGISTER needs no proof: what it changes is compared in the store."""
    one.ask()
    one.lookups.look_up(ALICE, one.given.append, needs_proof=False)
    one.store.reads.pop(0)(StoredRows((), one.store.versions[0], complete=complete))
    assert one.given == [given, []]


def test_rows_that_were_found_need_no_proof(one: Lookups) -> None:
    one.ask()
    one.store.reads.pop(0)(StoredRows((ELSEWHERE,), one.store.versions[0], complete=False))
    assert one.given == [[ELSEWHERE]]


def test_check_reads_known_rows_and_reports_missing_rows_of_ours(one: Lookups) -> None:
    """A request that comes meanwhile waits for the same read."""
    ours = replace(PHONE, expires_at=one.now + 600)
    one.known.accept_written(ALICE, (ours,), (), WriteResult(frozenset(), 5, 5))
    one.lookups.check(ALICE)
    one.lookups.check(ALICE)
    [read] = one.store.reads
    read(StoredRows((), one.store.versions[0], removed=frozenset()))
    assert one.again == [ours]
    one.store.reads.clear()
    one.change()
    one.lookups.check(ALICE)
    one.ask()
    [read] = one.store.reads
    read(StoredRows((ours,), one.store.versions[0], removed=frozenset()))
    assert one.given == [[ours]]
    assert one.again == [ours]
