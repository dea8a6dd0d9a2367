"""Faults of one server, or of several: they end, hang, or have a wrong clock, no room or no descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulation.faults import JUMP_S
from simulation.organisations import MANAGERS, SERVERS
from simulation.virtual_sockets import ROOM

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulation.faults import Fault
    from simulation.world import World

MOST_STEP_S: Final = 200.0
"""How far a wall clock is set, at most, and mostly less: less than what is left of a registration when it is refreshed."""

SLOW_S: Final = 8.0
"""How much later a slow store answers, at most: later than a server waits for it."""


LEAST_WINDOW: Final = 2_048
"""The smallest receive window of a phone that does not read, in octets: it is full after a few messages."""


class ServerFaults:
    """The faults of servers and of phones, by their kinds."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self._chance = world, chance

    def kill(self, fault: Fault) -> Callable[[], None]:
        self.world.machines.crash(self.world.servers[fault.one].process)
        return lambda: self.world.machines.begin_again(fault.one)

    def kill_at_write(self, fault: Fault) -> Callable[[], None]:
        """Let a server die at one of its next operations on files."""
        self.world.servers[fault.one].process.crash_in = 1 + int(20 * fault.size)
        return lambda: self.world.machines.survived(fault.one)

    def power(self, fault: Fault) -> Callable[[], None]:
        self.world.machines.lose_power(fault.one)
        return lambda: self.world.machines.begin_again(fault.one)

    def hang(self, fault: Fault) -> Callable[[], None]:
        self.world.machines.hang(fault.one)
        return lambda: self.world.machines.resume(fault.one)

    def restart(self, fault: Fault) -> Callable[[], None]:
        """Stop a server as an operator does, and start it again."""
        self.world.machines.stop(fault.one)
        return lambda: self.world.machines.begin_again(fault.one)

    def step_clock(self, fault: Fault) -> Callable[[], None]:
        process = self.world.servers[fault.one].process
        process.offset_s = (2 * fault.size - 1) ** 3 * MOST_STEP_S
        return lambda: setattr(self.world.servers[fault.one].process, "offset_s", 0.0)

    def jump_clock(self, fault: Fault) -> Callable[[], None]:
        process = self.world.servers[fault.one].process
        process.offset_s = (2 * fault.size - 1) * JUMP_S
        return lambda: setattr(self.world.servers[fault.one].process, "offset_s", 0.0)

    def drift(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.drift = (2 * fault.size - 1) * 0.01
        return lambda: setattr(self.world.servers[fault.one].process, "drift", 0.0)

    def fill_disk(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.full = True
        return lambda: setattr(self.world.servers[fault.one].process, "full", False)

    def slow_store(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.slow_s = SLOW_S * fault.size**0.5
        return lambda: setattr(self.world.servers[fault.one].process, "slow_s", 0.0)

    def descriptors(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.without_descriptors = True
        return lambda: setattr(self.world.servers[fault.one].process, "without_descriptors", False)

    def lock_store(self, fault: Fault) -> Callable[[], None]:
        """Lock the bindings of a pool, as a backup program or another process may do: nothing can be written."""
        store = self.world.store(fault.one)
        store.locks += 1
        return lambda: setattr(store, "locks", store.locks - 1)

    def outage(self, fault: Fault) -> Callable[[], None]:
        """Several servers end at once, in one of three ways, and are started again in any order."""
        names = self._chance.sample(SERVERS, 2 + int((len(SERVERS) - 1) * fault.size))
        if self.world.operations.is_older:
            names = [name for name in names if name not in MANAGERS]
        how = (
            lambda name: self.world.machines.crash(self.world.servers[name].process),
            self.world.machines.lose_power,
            self.world.machines.stop,
        )
        for name in names:
            how[int(3 * self._chance.random())](name)
        order = self._chance.sample(names, len(names))

        def begin_again() -> None:
            for name in order:
                self.world.loop.call_later(8.0 * self._chance.random(), self.world.machines.begin_again, name)

        return begin_again

    def older_state(self, fault: Fault) -> Callable[[], None]:
        """Put an older state folder back, as from a backup, while the server is off."""
        folder = self.world.folders.of(fault.one) / "state"
        content = {
            file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and ".db" not in file.name
        }

        def put_back() -> None:
            server = self.world.servers[fault.one]
            self.world.machines.crash(server.process)
            for file in folder.iterdir():
                if file.is_file() and ".db" not in file.name:
                    file.unlink()
            for name, octets in content.items():
                (folder / name).write_bytes(octets)
                (folder / name).chmod(0o600)
            self.world.disk.forget(folder)
            server.rolled_back = True
            self.world.machines.begin_again(fault.one)

        return put_back

    def deaf_phone(self, fault: Fault) -> Callable[[], None]:
        [phone] = [phone for phone in self.world.phones if phone.name == fault.one]
        phone.turn_deaf(LEAST_WINDOW + int((ROOM - LEAST_WINDOW) * fault.size**4))
        return phone.listen
