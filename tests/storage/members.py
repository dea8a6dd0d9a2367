"""Servers of a pool as their store of bindings sees them, without a loop: their calls are made where they are waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.binding import NEVER, Binding
from sipmesh.storage.location_service.locations import Locations, StoredRows, Write, WriteResult

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
FE1, FE2 = "fe1.example.test", "fe2.example.test"
PATIENCE_S = 20.0

PHONE = Binding(
    aor=ALICE,
    contact="sip:alice@127.0.0.1:44783;transport=tls",
    instance="<urn:uuid:00000000-0000-0000-0000-0000a30f0000>",
    reg_id=1,
    q=1.0,
    call_id="one",
    cseq=1,
    server=FE1,
    incarnation=7,
    flow=41,
    token="token",
    expires_at=NEVER,
    user_agent="baresip",
    interval_s=600,
)
ELSEWHERE = replace(PHONE, server=FE2, incarnation=3, flow=5, token="fe2", call_id="two")

Make = Callable[[Callable[[Callable[[], None]], object]], Locations]


class Member:
    """One server: its view of the store, and what the store has told it. *make* makes the view, given where calls go."""

    def __init__(self, make: Make, server: str, incarnation: int) -> None:
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.locations = make(self.calls.put)
        self.told: list[str] = []
        self.changes: list[str] = []
        self.locations.begin(server, incarnation, self)

    def forgotten(self) -> None:
        """See `StoreEvents`."""
        self.told.append("forgotten")

    def doubted(self) -> None:
        """See `StoreEvents`."""

    def changed(self, aor: str) -> None:
        """See `StoreEvents`."""
        self.changes.append(aor)

    def store_failing(self, problem: OperatorError) -> None:
        """See `StoreEvents`."""
        self.told.append(str(problem))

    def store_working(self) -> None:
        """See `StoreEvents`."""
        self.told.append("working")

    def until(self, holds: Callable[[], object]) -> None:
        """Make the calls that come until *holds*."""
        while not holds():
            self.calls.get(timeout=PATIENCE_S)()

    def pending(self) -> None:
        """Make the calls that have come."""
        with suppress(Empty):
            while True:
                self.calls.get_nowait()()

    def found(self, aor: str = ALICE) -> StoredRows:
        """Read the rows of a user."""
        told: list[StoredRows | None] = []
        self.locations.find(aor, told.append)
        self.until(lambda: told)
        assert told[0] is not None, "the store cannot be read"
        return told[0]

    def rows(self, aor: str = ALICE) -> list[Binding]:
        """Read the rows of a user, without the other facts about them."""
        return list(self.found(aor).rows)

    def version(self, aor: str = ALICE) -> int:
        """The version of the rows of a user."""
        return self.locations.versions[self.locations.slot(aor)]

    def write(
        self,
        put: Sequence[Binding] = (),
        drop: Sequence[Binding] = (),
        *,
        restores: bool = False,
        unregisters: bool = False,
    ) -> WriteResult | None:
        """Make one change."""
        told: list[WriteResult | None] = []
        [aor] = {row.aor for row in (*put, *drop)}
        self.locations.write(
            Write(aor, tuple(put), tuple(drop), told.append, restores=restores, unregisters=unregisters)
        )
        self.until(lambda: told)
        return told[0]
