"""Faults between hosts: connections that end, that are cut, or slow; and databases that cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.faults import Fault
    from simulation.world import World

SLOW_S: Final = 12.0
"""How much later a slow database answers, at most: more than twice as long as a message waits for it."""


class LinkFaults:
    """The faults of the network and of the database servers, by their kinds."""

    def __init__(self, world: World) -> None:
        self.world = world

    def reset(self, fault: Fault) -> None:
        found = self.world.network.between(fault.one, fault.other) + self.world.network.between(fault.other, fault.one)
        if found:
            self.world.network.reset(found[int(len(found) * fault.size)])

    def cut(self, fault: Fault) -> Callable[[], None]:
        self.world.network.cut_between(fault.one, fault.other, both=True)
        return lambda: self.world.network.heal(fault.one, fault.other)

    def cut_one_way(self, fault: Fault) -> Callable[[], None]:
        self.world.network.cut_between(fault.one, fault.other, both=False)
        return lambda: self.world.network.heal(fault.one, fault.other)

    def slow(self, fault: Fault) -> Callable[[], None]:
        ways = ((fault.one, fault.other), (fault.other, fault.one))
        for way in ways:
            self.world.network.slow[way] = 3.0 * fault.size

        def end() -> None:
            for way in ways:
                self.world.network.slow.pop(way, None)

        return end

    def database_down(self, fault: Fault) -> Callable[[], None]:
        down = self.world.databases.down
        down.add(fault.other)
        return lambda: down.discard(fault.other)

    def cut_database(self, fault: Fault) -> Callable[[], None]:
        cut = self.world.databases.cut
        cut.add((fault.one, fault.other))
        return lambda: cut.discard((fault.one, fault.other))

    def slow_database(self, fault: Fault) -> Callable[[], None]:
        """Let the database of the stored messages answer one host later than the host waits."""
        late = self.world.databases.late
        late[fault.one] = SLOW_S * fault.size**0.5
        return lambda: late.update({fault.one: 0.0})

    def older_database(self, _fault: Fault) -> Callable[[], None]:
        """Lose the last transactions of the database of management, as with a standby that was behind."""
        return self.world.operations.dump()
