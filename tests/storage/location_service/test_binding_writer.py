"""The writer of bindings: one transaction for all that waits, and patience with a file that cannot be written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.binding_writer import MOST_IN_BATCH, TOLD_AFTER_S, BindingWriter, Results
from sipmesh.storage.location_service.bindings import BindingStore
from sipmesh.storage.location_service.lease_watch import MOST_MISSED, RENEW_EVERY_S
from sipmesh.storage.location_service.locations import Write
from storage.members import ALICE, BOB, ELSEWHERE, FE1, FE2, PHONE


class Bench:
    """A writer whose thread is this one: it collects and tries on order, by a clock that is set by hand."""

    def __init__(self, path: Path) -> None:
        self.store, self.now = BindingStore(path), 100.0
        self.results: list[tuple[Write, object]] = []
        self.told: list[str] = []
        self.writer = BindingWriter(self.store, self._finished, lambda: self.now)
        self.store.begin(FE1, 7)
        self.writer.begin(FE1, 7, self, lambda call: call())

    def _finished(self, results: Results) -> None:
        self.results += results

    def forgotten(self) -> None:
        """See `StoreEvents`."""
        self.told.append("forgotten")

    def doubted(self) -> None:
        """See `StoreEvents`."""

    def changed(self, aor: str) -> None:
        """See `StoreEvents`."""

    def store_failing(self, problem: OperatorError) -> None:
        """See `StoreEvents`."""
        self.told.append(str(problem))

    def store_working(self) -> None:
        """See `StoreEvents`."""
        self.told.append("working")

    def turn(self) -> None:
        """One turn of the thread in which something waits."""
        self.writer._collect()
        self.writer._withdraw()
        self.writer._try()

    def accept(self, count: int) -> None:
        """Queue so many writes of different users."""
        for number in range(count):
            row = replace(PHONE, aor=f"sip:u{number}@example.test")
            self.writer.accept(Write(row.aor, (row,), (), _nobody))


def _nobody(_: object) -> None:
    """No caller waits for the result."""


@pytest.fixture(name="bench")
def _bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("sipmesh.storage.location_service.bindings.BUSY_TIMEOUT_S", 0.001)
    monkeypatch.setattr("sipmesh.storage.location_service.binding_writer.TRY_AGAIN_S", (0.0,))
    bench = Bench(tmp_path / "bindings.db")
    yield bench
    bench.store.close()


@pytest.fixture(name="lock")
def _lock(bench: Bench) -> Iterator[Callable[[str], object]]:
    """Another process that says ``BEGIN IMMEDIATE`` and ``ROLLBACK``."""
    with closing(sqlite3.connect(bench.store.path, isolation_level=None)) as other:
        yield other.execute


@pytest.mark.parametrize(("waiting", "batches"), [(1, 1), (MOST_IN_BATCH, 1), (MOST_IN_BATCH + 1, 2)])
def test_all_that_waits_goes_into_one_transaction_up_to_a_limit(bench: Bench, waiting: int, batches: int) -> None:
    """Other servers of the pool wait for the end of it."""
    bench.accept(waiting)
    for _ in range(batches):
        bench.turn()
    assert (bench.writer.health.batches, bench.writer.health.writes) == (batches, waiting)
    assert all(result is not None for _, result in bench.results)


def test_locked_file_loses_nothing_and_is_reported_once(bench: Bench, lock: Callable[[str], object]) -> None:
    lock("BEGIN IMMEDIATE")
    bench.accept(3)
    bench.turn()
    assert (bench.told, bench.results) == ([], []), "a moment is nothing to tell of"
    assert bench.writer.health.failing_since == bench.now
    bench.now += TOLD_AFTER_S
    for _ in range(3):
        bench.turn()
    [told] = bench.told
    assert "bindings.db" in told
    assert "locked" in bench.writer.health.last_error
    lock("ROLLBACK")
    bench.turn()
    assert len(bench.results) == 3
    assert bench.told[1:] == ["working"]
    assert bench.writer.health.failing_since is None


@pytest.mark.usefixtures("reserve")
def test_full_disk_is_reported_with_file_and_remedy(bench: Bench) -> None:
    """The pages of the file are limited here, which SQLite reports as it does a full disk."""
    bench.store._db.execute("VACUUM")  # the file has room for more registrations from the start
    bench.store._db.execute("PRAGMA max_page_count = 1")
    bench.accept(400)
    bench.turn()
    bench.now += TOLD_AFTER_S
    bench.turn()
    [told] = bench.told
    assert "full" in told
    assert "bindings.db" in told
    assert "check the free space" in told
    bench.store._db.execute("PRAGMA max_page_count = 100000")
    bench.turn()
    assert len(bench.results) == 400


def test_write_that_was_withdrawn_while_the_file_was_locked_is_not_made(
    bench: Bench, lock: Callable[[str], object]
) -> None:
    lock("BEGIN IMMEDIATE")
    writes = [Write(row.aor, (row,), (), _nobody) for row in (PHONE, replace(PHONE, aor=BOB))]
    for write in writes:
        bench.writer.accept(write)
    bench.turn()
    writes[0].withdrawn = True
    lock("ROLLBACK")
    bench.turn()
    assert [result is None for _, result in sorted(bench.results, key=lambda one: one[0].aor)] == [True, False]
    assert [len(one.rows) for one in bench.store.find([ALICE, BOB], FE1, 7)] == [0, 1]


def test_row_that_no_store_could_keep_fails_alone(bench: Bench) -> None:
    bench.writer.accept(Write(ALICE, (replace(PHONE, flow=1 << 70),), (), _nobody))
    bench.accept(2)
    bench.turn()
    assert [result is None for _, result in bench.results] == [True, False, False]
    assert bench.told == []


def test_lease_is_renewed_when_it_is_due(bench: Bench) -> None:
    bench.accept(1)
    bench.turn()
    bench.now += RENEW_EVERY_S
    bench.turn()
    assert bench.store.renewals() == {FE1: (7, 2)}
    assert bench.writer._renew_at == bench.now + RENEW_EVERY_S


def test_rows_of_a_server_that_has_stopped_renewing_are_dropped_and_it_finds_out(bench: Bench) -> None:
    """As after kill -9, or while it hangs: if it goes on after all, it stores its rows again."""
    bench.store.begin(FE2, 3)
    bench.store.write([Write(ALICE, (ELSEWHERE,), (), _nobody)], FE2, 3)
    for _ in range(MOST_MISSED):
        bench.now += RENEW_EVERY_S
        bench.turn()
        assert len(bench.store.find([ALICE], FE1, 7)[0].rows) == 1
    bench.now += RENEW_EVERY_S
    bench.turn()
    assert bench.store.find([ALICE], FE1, 7)[0].rows == ()
    assert bench.store.write([], FE2, 3)[1] is True


@pytest.mark.wide
def test_lock_of_any_length_ends_no_lease(bench: Bench, lock: Callable[[str], object]) -> None:
    """Where no server can write, no server falls behind."""
    bench.store.begin(FE2, 3)
    bench.turn()
    lock("BEGIN IMMEDIATE")
    for _ in range(2 * MOST_MISSED):
        bench.now += RENEW_EVERY_S
        bench.turn()
    lock("ROLLBACK")
    bench.now += RENEW_EVERY_S
    bench.turn()
    assert set(bench.store.renewals()) == {FE1, FE2}


def test_store_that_has_lost_our_incarnation_is_reported(bench: Bench) -> None:
    bench.store.end(FE1, 7)
    bench.accept(1)
    bench.turn()
    assert bench.told == ["forgotten"]


def test_thread_ends_the_incarnation_when_it_is_closed(bench: Bench) -> None:
    bench.accept(3)
    bench.writer.close()
    bench.writer.run()
    assert bench.store.renewals() == {}
