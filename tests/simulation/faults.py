"""The faults of a run: drawn from the seed before it begins, so that a run without one of them can be tried."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulation.organisations import (
    BOT_DEVICE,
    DEVICES,
    FRONT_ENDS,
    MANAGED,
    MANAGEMENT,
    MANAGERS,
    MESSAGES,
    SERVERS,
    USERS,
    WORKERS,
)
from support.network import EDGE, FE1, FE2, FE3, FE4, PARTNER_EDGE, PARTNER_FE, POOL, POOL2

if TYPE_CHECKING:
    from collections.abc import Sequence

WAYS: Final = (
    *((manager, server) for manager in MANAGERS for server in (FE1, FE2, FE3, FE4)),
    *((FE1, FE2), (FE3, FE4), (FE1, FE3), (FE2, FE4), (FE1, EDGE), (FE2, EDGE), (EDGE, PARTNER_EDGE)),
    (PARTNER_EDGE, PARTNER_FE),
)
"""Where servers have links with each other."""


TAKEN_OVER_S: Final = 8.0
"""How long the leader of management hangs at least: another server leads meanwhile."""

JUMP_S: Final = 7_200.0
"""How far a wall clock jumps, at most: further than registrations and nonces live."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: *kind* names a method of a part of `Injector`, *one* and *other* are hosts, *size* is drawn from 0 to 1."""

    kind: str
    at: float
    lasts_s: float
    one: str
    other: str = ""
    size: float = 0.0

    def __str__(self) -> str:
        other = f" {self.other}" if self.other else ""
        return f"{self.at:.2f} s: {self.kind} {self.one}{other} for {self.lasts_s:.2f} s, size {self.size:.3f}"


LINK_FAULTS: Final = ("reset", "cut", "cut_one_way", "slow")
SERVER_FAULTS: Final = (
    *("kill", "kill_at_write", "power", "hang", "restart"),
    *("step_clock", "jump_clock", "drift", "fill_disk", "slow_store", "descriptors"),
)
DATABASE_FAULTS: Final = ("database_down", "cut_database")
"""Of the database of management, or of that of the stored messages."""

OPERATIONS: Final = ("publish", "publish", "remove_user", "change_password", "move_user", "revoke")
ALL_KINDS: Final = (
    *(*LINK_FAULTS, *SERVER_FAULTS, *DATABASE_FAULTS, "slow_database", "lock_store", "deaf_phone", *OPERATIONS),
    *("hang_leader", "outage", "older_state", "older_database", "kill_worker", "hang_worker"),
    *("late_document", "publish_to_full_disk", "kill_worker_again", "revoke_and_publish", "change_and_kill"),
    *("cut_and_kill", "store_and_die", "change_on_filling_disk", "act_with_wrong_clock"),
)

LOSE_LINKS: Final = frozenset(
    {*LINK_FAULTS, "kill", "kill_at_write", "power", "hang", "restart", "descriptors", "revoke"}
    | {"outage", "hang_leader", "older_state", "kill_worker", "hang_worker"}
    | {"kill_worker_again", "revoke_and_publish", "change_and_kill"}
    | {"cut_and_kill", "store_and_die", "change_on_filling_disk", "act_with_wrong_clock"}
)
"""What may end a link between servers, or keep it from being opened in time."""


MOMENTS: Final = frozenset(
    {"late_document", "publish_to_full_disk", "kill_worker_again", "revoke_and_publish", "change_and_kill"}
    | {"cut_and_kill", "store_and_die", "change_on_filling_disk", "act_with_wrong_clock"}
)
"""Two events within one second, or a document that comes late: what the profiles draw that are about it."""

ON_REQUEST: Final = frozenset({"jump_clock", "older_database"}) | MOMENTS
"""What is drawn only on request; the product keeps less of its promises under the first two (docs/simulation.md)."""

STOPS_MANAGEMENT: Final = frozenset({"kill", "kill_at_write", "power", "restart", "outage"})
"""What ends a management server, which cannot start with a database that lacks its last version."""

KINDS: Final = tuple(kind for kind in ALL_KINDS if kind not in ON_REQUEST)


@dataclass(frozen=True, slots=True)
class FaultSettings:
    """Which faults a run may have: up to *most*, each of one of *kinds*."""

    most: int = 18
    kinds: tuple[str, ...] = KINDS


def plan(seed: int, begin: float, end: float, settings: FaultSettings) -> list[Fault]:
    """Draw the faults of a run between two loop times; all of them are over at *end*."""
    chance = random.Random(f"{seed} faults")
    count = chance.randint(settings.most // 2, settings.most)
    found = [_draw(chance, chance.choice(settings.kinds), begin, end) for _ in range(count)]
    return sorted(found, key=lambda fault: fault.at)


def _draw(chance: random.Random, kind: str, begin: float, end: float) -> Fault:
    at = begin + (end - begin) * chance.random()
    lasts_s = min(end - at, 45.0 * chance.random() ** 2)
    phone = chance.choice(DEVICES)
    one, other = chance.choice(WAYS) if chance.random() < 0.7 else (f"{phone[0]}{phone[1]}", "")
    server, size = chance.choice(SERVERS), chance.random()
    if kind in LINK_FAULTS:
        if not other:
            other = chance.choice((FE1, FE2) if USERS[phone[0]] == POOL else (FE3, FE4))
        if chance.random() < 0.5:
            one, other = other, one
        return Fault(kind, at, lasts_s, one, other, size)
    if kind in DATABASE_FAULTS:
        name = chance.choice((MANAGEMENT, MESSAGES, MESSAGES))
        host = chance.choice(MANAGERS if name == MANAGEMENT else FRONT_ENDS)
        return Fault(kind, at, min(lasts_s, 20.0), host, name, size)
    of_kind: dict[str, Sequence[str]] = {
        "lock_store": (POOL, POOL2),
        "deaf_phone": (f"{phone[0]}{phone[1]}", f"{phone[0]}{phone[1]}", BOT_DEVICE),
        "slow_database": FRONT_ENDS,
        "older_state": MANAGED,
        "kill_worker": tuple(WORKERS),
        "hang_worker": tuple(WORKERS),
        "kill_worker_again": tuple(WORKERS),
        "late_document": MANAGED,
        "publish_to_full_disk": MANAGED,
        "change_and_kill": tuple(USERS),
        "change_on_filling_disk": tuple(USERS),
        "store_and_die": MANAGED,
        "cut_and_kill": FRONT_ENDS,
        "act_with_wrong_clock": FRONT_ENDS,
        "slow_store": (*FRONT_ENDS, *SERVERS),
        **dict.fromkeys(OPERATIONS, tuple(USERS)),
    }
    if kind in of_kind:
        return Fault(kind, at, 0.0 if kind in OPERATIONS else lasts_s, chance.choice(of_kind[kind]), "", size)
    if kind == "hang_leader":
        lasts_s = min(end - at, TAKEN_OVER_S + 10.0 * size)
    if kind == "fill_disk" or (kind == "kill_at_write" and size < 0.8):
        server = chance.choice(MANAGED)
    return Fault(kind, at, lasts_s, server, "", size)
