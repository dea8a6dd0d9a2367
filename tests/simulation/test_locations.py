"""The store of bindings in a run: later, in order, not while it is locked, and for no longer than a lease."""

from __future__ import annotations

import random
from pathlib import Path

from simulation.locations import PoolStore, VirtualLocations
from simulation.loop import VirtualLoop
from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.binding import Binding
from sipmesh.storage.location_service.lease_watch import MOST_MISSED, RENEW_EVERY_S
from sipmesh.storage.location_service.locations import Write

AOR = "sip:bob@example.test"


class Member:
    """A server of a pool; *told* is what its store has told it."""

    def __init__(self, loop: VirtualLoop, store: PoolStore, name: str) -> None:
        self.told: list[str] = []
        self.name = name
        self.locations = VirtualLocations(store, loop)
        self.locations.begin(name, 1, self)

    def forgotten(self) -> None:
        """See `StoreEvents`."""
        self.told.append("forgotten")

    def doubted(self) -> None:
        """See `StoreEvents`."""

    def changed(self, aor: str) -> None:
        """See `StoreEvents`."""

    def store_failing(self, _problem: OperatorError) -> None:
        """See `StoreEvents`."""
        self.told.append("failing")

    def store_working(self) -> None:
        """See `StoreEvents`."""
        self.told.append("working")

    def register(self) -> None:
        """Store a row."""
        row = Binding(AOR, f"sip:bob@{self.name}", None, None, 1.0, "r", 1, self.name, 1, 1, "token", 100.0)
        write = Write(
            AOR, (row,), (), lambda result: self.told.append("stored" if result is not None else "not stored")
        )
        self.locations.write(write)


def _loop() -> VirtualLoop:
    return VirtualLoop(random.Random(1), lambda *_: None)


def test_what_waits_for_a_lock_is_stored_after_it(tmp_path: Path) -> None:
    loop, store = _loop(), PoolStore.open(tmp_path / "pool")
    member = Member(loop, store, "fe1")
    store.locks = 1
    member.register()
    loop.run(5.0)
    assert (member.told, store.count()) == (["failing"], 0)
    store.locks = 0
    loop.run(6.0)
    assert member.told == ["failing", "working", "stored"]
    assert store.count() == 1


def test_rows_of_a_server_that_renews_no_lease_end(tmp_path: Path) -> None:
    """Both servers have a row each; one of them stops to renew, without an end."""
    loop, store = _loop(), PoolStore.open(tmp_path / "pool")
    gone, other = Member(loop, store, "fe1"), Member(loop, store, "fe2")
    gone.register()
    other.register()
    loop.run(1.0)
    assert store.count() == 2
    gone.locations._timers["renew"].cancel()
    loop.run((MOST_MISSED + 3) * RENEW_EVERY_S)
    [rows] = store.bindings.find([AOR], "fe2", 1)
    assert [row.server for row in rows.rows] == ["fe2"]
    assert store.count() == 1
    assert "forgotten" not in other.told
