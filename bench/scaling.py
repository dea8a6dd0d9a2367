"""What a network of so many users needs, derived from coefficients that were measured: `docs/scaling.md` explains the tables.

    python -m bench.scaling              the tables for 10,000, 1,000,000 and 100,000,000 users
    python -m bench.scaling --simulate   the way of messages through 20, 200 and 2,000 front ends too; half a minute

The coefficients of CPU and memory are those of `docs/performance.md`. Octets and memory for each user are measured here.
"""

from __future__ import annotations

import argparse
import tempfile
import tracemalloc
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from bench.many_servers import measure
from bench.network_size import DOMAIN
from bench.table import number, table
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.agent.status_reporter import REPORT_EVERY_S
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_document import MOST_IN_A_PART, UserDocument
from sipmesh.transport.limits import Limits

SIZES: Final = (10_000, 1_000_000, 100_000_000)
SIMULATED: Final = ((20, 100_000), (200, 1_000_000), (2_000, 10_000_000))
MESSAGES: Final = 20_000
MEASURED_USERS: Final = 20_000
HOUR_S: Final = 3600
MICRO: Final = 1e-6
KIB: Final = 1024
GIB: Final = 2**30


@dataclass(frozen=True)
class Habits:
    """What one user does in the busiest hour. These are assumptions: put in your own."""

    phones: float = 1.0
    logins: float = 0.5
    refreshes: float = 6.0
    keepalives: float = 30.0
    messages: float = 10.0
    calls: float = 3.0
    notifications: float = 20.0


@dataclass(frozen=True)
class Costs:
    """Coefficients of the compiled build: CPU in microseconds, sizes in octets.

    *message* is that of a server with thousands of links that sends to a phone. A keepalive was not measured alone: it counts as
    a refresh, which is more. *workers* is the factor of a server with several processes. *row* is a registration in the
    store, and *refresh_form* what a server keeps of the last REGISTER of a phone. *topology_server* is a server in a signed
    version: 72 octets with a name and a machine, the rest is for an address and ports.
    """

    handshake: float = 913.0
    login: float = 182.0
    refresh: float = 14.9
    message: float = 31.6
    call: float = 230.0
    workers: float = 1.16
    link: float = 39.3 * KIB
    row: float = 1.0 * KIB
    refresh_form: float = 1.5 * KIB
    topology_server: float = 120.0
    report: float = 2.0 * KIB


@dataclass(frozen=True)
class Machine:
    """One front end: *cores*, half of which are busy in the busiest hour, and *phones*, by memory and by what is lost at once."""

    cores: int = 8
    busy: float = 0.5
    phones: int = 50_000
    pool: int = 10
    servers_passed: float = 2.9


@dataclass(frozen=True)
class UserSize:
    """Octets for each user: in a document, and in the memory of a process, at the home pool and at all other pools."""

    document_home: float
    document_elsewhere: float
    memory_home: float
    memory_elsewhere: float


def user_size(users: int = MEASURED_USERS) -> UserSize:
    """Measure documents with so many users, as a server accepts them."""
    addresses = [f"sip:user{n}@{DOMAIN}" for n in range(users)]
    hashes = {Algorithm.SHA_256: "0" * 64, Algorithm.MD5: "0" * 32}
    verifiers = {aor: Verifier(aor, 1, hashes) for aor in addresses}
    homes = {aor: f"pool{n % 100}.{DOMAIN}" for n, aor in enumerate(addresses)}
    at_home = UserDocument(DOMAIN, "pool1", 1, verifiers=verifiers).encode()
    elsewhere = UserDocument(DOMAIN, "pool1", 1, homes=homes).encode()
    return UserSize(len(at_home) / users, len(elsewhere) / users, *(_held(one) / users for one in (at_home, elsewhere)))


def _held(document: bytes) -> int:
    """Return the memory that a process needs for the users of *document*."""
    tracemalloc.start()
    users = ReplicatedUsers(DOMAIN, "pool1")
    users.accept_document(document)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held


class Demand:
    """What *users* users need; all figures follow from the four arguments."""

    def __init__(self, users: int, habits: Habits, costs: Costs, machine: Machine, size: UserSize) -> None:
        self.users, self._habits, self._costs, self._machine, self._size = users, habits, costs, machine, size

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU of all front ends in a second of the busiest hour."""
        habits, costs, passed = self._habits, self._costs, self._machine.servers_passed
        of_one = habits.logins * (costs.handshake + costs.login)
        of_one += (habits.refreshes + habits.keepalives) * costs.refresh
        of_one += passed * (habits.messages + habits.notifications) * costs.message
        of_one += passed * habits.calls * costs.call
        return self.users * of_one * costs.workers * MICRO / HOUR_S

    @property
    def by_cpu(self) -> int:
        """Front ends that the CPU of the busiest hour needs."""
        return ceil(self.cpu_s / (self._machine.cores * self._machine.busy))

    @property
    def by_phones(self) -> int:
        """Front ends that the number of phones needs."""
        return ceil(self.users * self._habits.phones / self._machine.phones)

    @property
    def front_ends(self) -> int:
        """Front ends, with one more in each pool, whose loss the others carry; two at least."""
        needed = max(self.by_cpu, self.by_phones, 1)
        return needed + ceil(needed / (self._machine.pool - 1))

    @property
    def pools(self) -> int:
        """Pools of front ends."""
        return ceil(self.front_ends / self._machine.pool)

    @property
    def phones(self) -> float:
        """Phones at one front end."""
        return self.users * self._habits.phones / self.front_ends

    @property
    def storm_s(self) -> float:
        """Seconds until all phones of a server that died are logged in at the others of its pool, which use all cores for it."""
        others = max(1, min(self._machine.pool, self.front_ends) - 1)
        each = (self._costs.handshake + self._costs.login) * self._costs.workers * MICRO
        return self.phones * each / (others * self._machine.cores)

    @property
    def memory_links(self) -> float:
        """Octets for the links, registrations and refreshes of the phones of one server."""
        costs = self._costs
        return self.phones * (costs.link + costs.row + costs.refresh_form)

    @property
    def memory_users(self) -> float:
        """Octets for the users in the memory of one server: each of its processes has them all."""
        at_home = self.users / self.pools
        octets = at_home * self._size.memory_home + (self.users - at_home) * self._size.memory_elsewhere
        return octets * self._machine.cores

    @property
    def document(self) -> float:
        """Octets of the document with all users for one server."""
        at_home = self.users / self.pools
        return at_home * self._size.document_home + (self.users - at_home) * self._size.document_elsewhere

    @property
    def parts(self) -> int:
        """Parts of that document."""
        return ceil(self.users / MOST_IN_A_PART)

    @property
    def memory_mesh(self) -> float:
        """Octets for the links of one server to all others; each process may have its own."""
        return (self.front_ends - 1) * self._costs.link * self._machine.cores

    @property
    def keepalives_cpu(self) -> float:
        """The part of one core that keepalives on idle links to all other servers need."""
        return 2 * (self.front_ends - 1) / Limits().probe_s * self._costs.refresh * MICRO

    @property
    def store(self) -> float:
        """Octets of the store of registrations of one pool."""
        return self.users * self._habits.phones / self.pools * self._costs.row

    @property
    def store_writes(self) -> float:
        """Writes of registrations in a second of the busiest hour, in one pool."""
        return self.users * self._habits.logins / HOUR_S / self.pools

    @property
    def publication(self) -> float:
        """Octets that management sends for one version of the topology."""
        return self.front_ends**2 * self._costs.topology_server

    @property
    def reports(self) -> float:
        """Reports of servers that management receives in a second."""
        return self.front_ends / REPORT_EVERY_S


def tables(sizes: tuple[int, ...] = SIZES) -> str:
    """Lay out what the networks of these sizes need."""
    size = user_size()
    demands = [Demand(users, Habits(), Costs(), Machine(), size) for users in sizes]
    heads = ["", *(f"{demand.users:,} users" for demand in demands)]
    text = "Octets for each user, measured in this run:\n\n"
    text += table(["", "document", "memory of a process"], _of_users(size))
    return text + "\nWhat is needed:\n\n" + table(heads, [[what, *values] for what, values in _rows(demands)])


def _of_users(size: UserSize) -> list[list[str]]:
    return [
        ["at the home pool", number(size.document_home), number(size.memory_home)],
        ["at each other pool", number(size.document_elsewhere), number(size.memory_elsewhere)],
    ]


def _rows(demands: list[Demand]) -> list[tuple[str, list[str]]]:
    return [
        ("CPU of all front ends, cores", [number(one.cpu_s) for one in demands]),
        ("front ends by CPU", [f"{one.by_cpu:,}" for one in demands]),
        ("front ends by phones", [f"{one.by_phones:,}" for one in demands]),
        ("front ends, one more in each pool", [f"{one.front_ends:,}" for one in demands]),
        ("pools", [f"{one.pools:,}" for one in demands]),
        ("phones at a front end", [f"{one.phones:,.0f}" for one in demands]),
        ("after the death of a front end, its phones are back after, s", [number(one.storm_s) for one in demands]),
        ("memory of a front end for its phones, GiB", [number(one.memory_links / GIB) for one in demands]),
        ("memory of a front end for all users, GiB", [number(one.memory_users / GIB) for one in demands]),
        ("memory of a front end for links to all others, GiB", [number(one.memory_mesh / GIB) for one in demands]),
        ("keepalives to all others, part of a core", [number(one.keepalives_cpu) for one in demands]),
        ("document of all users for one server, GiB", [number(one.document / GIB) for one in demands]),
        ("its parts", [f"{one.parts:,}" for one in demands]),
        ("store of one pool, GiB", [number(one.store / GIB) for one in demands]),
        ("writes to it in a second", [number(one.store_writes) for one in demands]),
        ("management sends for one version, GiB", [number(one.publication / GIB) for one in demands]),
        ("management receives reports in a second", [number(one.reports) for one in demands]),
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--simulate", action="store_true", help="send messages through the routing code of 2,000 servers"
    )
    given = parser.parse_args()
    print(tables())  # noqa: T201
    if given.simulate:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(Path(folder), SIMULATED, MESSAGES))  # noqa: T201


if __name__ == "__main__":
    main()
