"""Which process of a server this is: the only one, the supervisor, or one of its workers."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

from sipmesh.routing.registrar.binding import process_name

if TYPE_CHECKING:
    from sipmesh.routing.authentication.backoff import FailureLimits
    from sipmesh.transport.limits import Limits

LINKS_OF_A_START: Final = 1_000_000_000
"""Numbers of links for each start of a process: no two processes of one incarnation give a link the same number."""

STARTS: Final = 1 << 20
"""More than the starts of processes in one incarnation of a server: the supervisor starts one a second at most."""

PER_PROCESS: Final = (
    "handshakes_per_address",
    "handshakes_in_flight",
    "silent_per_address",
    "silent_in_all",
    "waiting_in_all",
    "log_lines_per_principal",
    "log_lines_in_all",
)
"""Limits of which each worker has its share: the kernel spreads the connections of each address over all workers."""

WAITING: Final = ("waiting_per_user", "waiting_per_address", "waiting_in_all")


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """The place of one process in its server.

    *number* is 0 for the supervisor, and 1 to *count* for its workers. *count* is 0 in a server of one process. *start* counts
    the starts of processes; *incarnation* is that of the server, the same for all its processes.
    """

    number: int = 0
    count: int = 0
    start: int = 0
    incarnation: int = 0

    @property
    def is_alone(self) -> bool:
        """Whether the server is this one process."""
        return self.count == 0

    @property
    def is_supervisor(self) -> bool:
        """Whether this process has the control plane, and others have the ports."""
        return self.count > 0 and self.number == 0

    @property
    def watches_trunks(self) -> bool:
        """Whether this process registers at trunks and pings them: one of each server does."""
        return self.is_alone or self.number == 1

    def begun(self) -> WorkerPlace:
        """Return the place with an incarnation: a new one, if this process begins one."""
        return self if self.incarnation else replace(self, incarnation=time.time_ns() // 1000)

    def name_of(self, server: str) -> str:
        """Name this process of *server* in the stores, where each process has its own lease."""
        return server if self.is_alone else process_name(server, self.number)

    @property
    def lease(self) -> int:
        """The incarnation of this process in the stores: another one after each start of the process."""
        return self.incarnation + self.start

    @property
    def branches(self) -> int:
        """The number by which the branches of this process begin."""
        return self.incarnation if self.is_alone else self.incarnation * STARTS + self.start

    @property
    def first_link(self) -> int:
        """The number after which those of our links begin."""
        return self.start * LINKS_OF_A_START

    def share(self, limits: Limits) -> Limits:
        """Return the limits of one process: its share of those that are not counted over all of them."""
        return limits if self.is_alone else replace(limits, **_shares(limits, PER_PROCESS, self.count))

    def share_of_waits(self, limits: FailureLimits) -> FailureLimits:
        """Return the same for the logins that wait."""
        return limits if self.is_alone else replace(limits, **_shares(limits, WAITING, self.count))


def _shares(limits: Limits | FailureLimits, names: tuple[str, ...], count: int) -> dict[str, int]:
    known = {field.name for field in fields(limits)}
    return {name: -(-int(getattr(limits, name)) // count) for name in names if name in known}


ALONE: Final = WorkerPlace()
