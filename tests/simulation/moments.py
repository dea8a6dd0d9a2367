"""Moments: two events within one second, or a document that comes late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulation.faults import JUMP_S, TAKEN_OVER_S
from simulation.organisations import MANAGED, MANAGERS, USERS
from simulation.processes import ProcessState
from sipmesh.pki.issuance.profiles import BACKDATED
from support.network import FE1, FE2, FE3, FE4, POOL

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulation.faults import Fault
    from simulation.world import World

LONGER_S: Final = 9.0
"""How long after that it may have a full disk."""

MOST_OPERATIONS: Final = 24
"""How many operations on files it takes to store a version."""

STORES_S: Final = 3.0
"""Within this time a version or changed users arrive."""

WRONG_S: Final = 3.0
"""How long a clock is wrong while something is changed."""

ALONE_S: Final = 12.0
"""How long a front end that begins again with a full disk reaches no management server, at least."""


class Moments:
    """What happens together, by its kind."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self._chance = world, chance

    def late_document(self, fault: Fault) -> None:
        self.world.documents.deliver_late(fault.one, fault.size)

    def publish_to_full_disk(self, fault: Fault) -> Callable[[], None]:
        """Publish a version that one server cannot store."""
        process = self.world.servers[fault.one].process
        process.full = True
        self.world.loop.call_later(0.3, self.world.operations.publish)
        return lambda: setattr(self.world.servers[fault.one].process, "full", False)

    def revoke_and_publish(self, fault: Fault) -> None:
        """Revoke a certificate while a version is published, in either order."""
        at = (0.0, fault.size) if fault.size < 0.5 else (1.0 - fault.size, 0.0)
        self.world.loop.call_later(at[0], self.world.operations.revoke_one_more)
        self.world.loop.call_later(at[1], self.world.operations.publish)

    def store_and_die(self, fault: Fault) -> None:
        """Let a server die at one of the operations by which it stores a version or changed users."""
        serving = [name for name in MANAGED if self.world.servers[name].serves]
        name = fault.one if fault.one in serving or not serving else self._chance.choice(serving)
        self.world.servers[name].process.crash_in = 1 + int(MOST_OPERATIONS * fault.size)
        if self._chance.random() < 0.6:
            self.world.operations.publish()
        else:
            self.world.operations.change_password(self._chance.choice(list(USERS)))
        self.world.loop.call_later(max(fault.lasts_s, STORES_S), self.world.machines.survived, name)

    def change_on_filling_disk(self, fault: Fault) -> None:
        """Change a password while the disk of a front end becomes full; it dies, and begins again without management."""
        pair = (FE1, FE2) if USERS[fault.one] == POOL else (FE3, FE4)
        name, call_later = pair[int(2 * self._chance.random())], self.world.loop.call_later
        self.world.servers[name].process.full_in = 1 + int(8 * fault.size)
        self.world.operations.change_password(fault.one)
        call_later(0.6 + 0.9 * self._chance.random(), self._cut_off_and_kill, name)
        call_later(3.0, self.world.machines.begin_again, name)
        call_later(max(fault.lasts_s, ALONE_S), self._reach_again, name)

    def _cut_off_and_kill(self, name: str) -> None:
        for manager in MANAGERS:
            self.world.network.cut_between(name, manager, both=True)
        self.world.machines.crash(self.world.servers[name].process)

    def _reach_again(self, name: str) -> None:
        for manager in MANAGERS:
            self.world.network.heal(name, manager)
        self._has_room(name)
        self.world.loop.call_later(4.0, self.world.machines.begin_again, name)
        self.world.troubled("change_on_filling_disk")
        self.world.troubled_host(name)

    def act_with_wrong_clock(self, fault: Fault) -> None:
        """Change something while the clock of a front end is behind.

        It is behind by seconds, to before the dates of its certificates, or to between these dates and those of the newest
        CRLs.
        """
        operations, call_later = self.world.operations, self.world.loop.call_later
        users, draw = self._chance.sample(list(USERS), 2), self._chance.random()
        is_little = draw < 0.6
        behind_s = (
            2.0 + 18.0 * fault.size if draw < 0.25 else BACKDATED.total_seconds() + self.world.loop.now * fault.size
        )
        self.world.servers[fault.one].process.offset_s = -behind_s if is_little else -JUMP_S
        if is_little:
            call_later(0.1, operations.revoke_one_more)
            call_later(0.4, operations.publish)
        else:
            call_later(0.1, operations.change_password, users[0])
            if draw < 0.85:
                call_later(0.2, operations.publish)
            call_later(WRONG_S + 0.5, operations.change_password, users[1])
        call_later(WRONG_S, self._set_right, fault.one)

    def _set_right(self, name: str) -> None:
        self.world.servers[name].process.offset_s = 0.0
        self.world.troubled("jump_clock")
        self.world.troubled_host(name)

    def cut_and_kill(self, fault: Fault) -> None:
        """Cut the two front ends of a pool from each other for some seconds, and let one of them die before it can deliver."""
        pair = (FE1, FE2) if fault.one in (FE1, FE2) else (FE3, FE4)
        other = pair[1 - pair.index(fault.one)]
        self.world.network.cut_between(fault.one, other, both=True)
        self.world.loop.call_later(6.0, self._crash, fault.one)
        self.world.loop.call_later(6.1, self.world.network.heal, fault.one, other)
        self.world.loop.call_later(max(fault.lasts_s, 7.0), self.world.machines.begin_again, fault.one)

    def hang_leader(self, fault: Fault) -> Callable[[], None]:
        """Stop the leader of management in the middle of a command: another server leads before it goes on.

        A user is changed meanwhile, so that both have something to sign.
        """
        leader = self.world.leader
        name = leader[0].name if leader is not None else fault.one
        process, slow_s = self.world.servers[name].process, 0.2 + fault.size
        process.slow_s = slow_s
        if leader is not None:
            self.world.operations.publish_on(leader[0])
        if self._chance.random() < 0.5:
            self._fill_for(name, fault.lasts_s + LONGER_S)
        hangs = self.world.loop.call_later(4.0 * slow_s * self._chance.random(), self.world.machines.hang, name)
        if fault.lasts_s >= TAKEN_OVER_S:
            user = self._chance.choice(list(USERS))
            self.world.loop.call_later(fault.lasts_s - 0.3, self.world.operations.change_password, user)

        def go_on() -> None:
            hangs.cancel()
            process.slow_s = 0.0
            is_overtaken = process.state is ProcessState.HUNG and name in MANAGERS
            self.world.machines.resume(name)
            if is_overtaken:
                self.world.operations.act_on(self.world.servers[name], self._chance.random())

        return go_on

    def _fill_for(self, name: str, seconds: float) -> None:
        """Let a disk be full for some seconds."""
        self.world.troubled("fill_disk")
        self.world.servers[name].process.full = True
        self.world.loop.call_later(seconds, self._has_room, name)

    def _has_room(self, name: str) -> None:
        process = self.world.servers[name].process
        process.full, process.full_in = False, None
        self.world.troubled("fill_disk")

    def _crash(self, name: str) -> None:
        self.world.machines.crash(self.world.servers[name].process)
