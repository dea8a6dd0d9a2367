"""One simulation: start, faults, calm, rest; and a shrinker for the faults of a seed that fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulation.faults import OPERATIONS, Fault, FaultSettings, plan
from simulation.injector import Injector
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.organisations import Folders

START_S: Final = 5.0
FAULTS_S: Final = 60.0
SETTLE_S: Final = 70.0
"""Longer than `checks.FOLLOWED_S`, and than a half-open connection lasts (`network.PROBED_S`)."""

CALM_S: Final = 20.0
REST_S: Final = 50.0
"""Longer than 64*T1 and the patience of a caller together: after it, no transaction is left."""

USUAL: Final = FaultSettings()


@dataclass(frozen=True, slots=True)
class Profile:
    """The seeds of the tests under some settings: in each of them every promise is kept."""

    settings: FaultSettings
    seeds: tuple[int, ...]


PROFILES: Final[dict[str, Profile]] = {
    "usual": Profile(USUAL, (1,)),
    "crashes": Profile(FaultSettings(18, ("publish", "power", "kill_at_write", "kill")), (2,)),
    "clocks": Profile(FaultSettings(12, ("step_clock", "jump_clock", "drift", "hang")), (2,)),
    "behind": Profile(
        FaultSettings(
            16,
            (
                *("act_with_wrong_clock", "act_with_wrong_clock", "act_with_wrong_clock", "act_with_wrong_clock"),
                *("jump_clock", "step_clock", "publish", "remove_user", "revoke_and_publish"),
            ),
        ),
        (1,),
    ),
    "storing": Profile(
        FaultSettings(
            12,
            ("store_and_die", "store_and_die", "change_on_filling_disk", "change_on_filling_disk", "power", "publish"),
        ),
        (1,),
    ),
    "operators": Profile(FaultSettings(8, (*OPERATIONS, "deaf_phone", "deaf_phone")), (1, 2)),
    "calm": Profile(FaultSettings(4, ("publish", "change_password")), (1,)),
    "pool": Profile(
        FaultSettings(14, ("hang_leader", "cut_database", "publish", "revoke", "outage", "older_state", "fill_disk")),
        (1,),
    ),
    "workers": Profile(
        FaultSettings(14, ("kill_worker", "hang_worker", "revoke", "change_password", "publish", "reset", "restart")),
        (1,),
    ),
    "late": Profile(
        FaultSettings(
            24,
            (
                *("late_document", "late_document", "late_document"),
                *("revoke_and_publish", "revoke_and_publish", "change_password", "hang_leader"),
            ),
        ),
        (1,),
    ),
    "cuts": Profile(FaultSettings(14, ("cut", "cut", "cut_one_way", "hang")), (1,)),
    "full": Profile(
        FaultSettings(14, ("publish_to_full_disk", "change_password", "late_document", "revoke_and_publish")), (1,)
    ),
    "replaced": Profile(
        FaultSettings(14, ("kill_worker_again", "revoke_and_publish", "change_and_kill", "change_password")), (1,)
    ),
    "restored": Profile(
        FaultSettings(10, ("older_database", "publish", "revoke", "reset", "kill_worker", "hang_leader")), (1,)
    ),
    "stores": Profile(
        FaultSettings(
            14,
            (
                *("database_down", "database_down", "cut_database", "slow_store", "slow_store", "kill", "lock_store"),
                *("slow_database", "slow_database", "slow_database"),
                *("hang", "cut_and_kill", "cut_and_kill", "cut_and_kill"),
            ),
        ),
        (1,),
    ),
}
"""What the tests run: faults of all kinds, and some kinds of trouble by themselves; with few faults, more must hold at once."""

ROTATED: Final = (
    *("usual", "calm", "pool", "stores", "usual", "crashes", "operators", "restored", "workers"),
    *("late", "full", "replaced", "cuts", "behind", "storing"),
)
"""Whose settings one seed after the other has, if none are chosen: 1 has those of the second one."""


def settings_of(seed: int) -> FaultSettings:
    """Return the settings of a seed for which none are chosen."""
    return PROFILES[ROTATED[seed % len(ROTATED)]].settings


@dataclass(frozen=True)
class Result:
    """What a run has shown; times are virtual seconds."""

    seed: int
    digest: str
    seconds: float
    events: int
    steps: int
    faults: Counter[str]
    violations: tuple[str, ...]
    lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def passed(self) -> bool:
        """Whether every invariant held."""
        return not self.violations

    @property
    def rule(self) -> str:
        """The rule that was broken first; empty if none was."""
        return self.violations[0].partition(" s ")[2].partition(":")[0] if self.violations else ""


def faults_of(seed: int, settings: FaultSettings = USUAL) -> list[Fault]:
    """Return the faults that a seed stands for."""
    return plan(seed, START_S, START_S + FAULTS_S, settings)


def simulate(
    folders: Folders,
    seed: int,
    faults: Sequence[Fault] | None = None,
    *,
    settings: FaultSettings = USUAL,
    keep_trace: bool = False,
) -> Result:
    """Run *seed* up to the first violation: with the faults that it stands for under *settings*, or with the given faults."""
    chosen = faults_of(seed, settings) if faults is None else list(faults)
    with World(folders, seed, keep_trace=keep_trace) as world:
        _run(world, chosen)
        trace = world.trace
        return Result(
            seed,
            trace.digest,
            world.loop.now,
            trace.events,
            world.loop.steps,
            Counter(fault.kind for fault in chosen),
            tuple(world.violations),
            tuple(trace.lines),
        )


def _run(world: World, faults: list[Fault]) -> None:
    """Let a world live: its faults, then calm in which everything has to work, then rest in which nothing may be left."""
    injector = world.injector = Injector(world, faults)
    world.populate()
    injector.schedule()
    world.loop.call_later(START_S, world.traffic.begin)
    world.run(START_S + FAULTS_S)
    world.is_settling = True
    world.run(SETTLE_S)
    world.operations.restore()
    world.traffic.calm = True
    world.run(CALM_S)
    world.traffic.going = False
    world.run(REST_S)
    if not world.violations:
        world.checks.at_rest()


def shrink(folders: Folders, seed: int, rule: str, settings: FaultSettings = USUAL) -> list[Fault]:
    """Drop faults of a failing seed as long as the same rule is broken; return those that are left."""
    faults = faults_of(seed, settings)
    for fault in list(faults):
        fewer = [one for one in faults if one is not fault]
        if simulate(folders, seed, fewer).rule == rule:
            faults = fewer
    return faults
