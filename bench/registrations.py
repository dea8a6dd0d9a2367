"""Measures registrations at three front ends of one pool, with the file and with Valkey, one after the other in one run.

    python -m bench.registrations --phones 300 --rounds 3

The acts are those of RFC 7502 (6.9 and 6.10: registration and re-registration), and a storm: one of the three front ends is
killed, and its phones register at the other two at once. What is counted is defined in RFC 7501. A phone that does not get a 200,
or that cannot be reached after the storm, is a failure. The phones share the machine with the servers: compare the two stores,
and the CPU of the servers, not the rates of one store with those of another machine.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.bed import HOST, MeasurementError, children_of, started
from bench.table import number, table
from sipmesh.client.agent import Settings, UserAgent
from sipmesh.client.answering import Manners
from sipmesh.client.judge import Trust
from sipmesh.client.party import new_instance
from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import free_port
from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

DOMAIN = "example.test"
MOST_SERVERS = 4
NAMES = tuple(f"fe{number + 1}.{DOMAIN}" for number in range(MOST_SERVERS))
SERVERS = NAMES[:3]
AT_ONCE = 20
"""Registrations in flight, as the window of the other measurements."""

READY_S, LOOK_AGAIN_S = 60.0, 0.02
FILE, VALKEY = "file", "Valkey"


@dataclass
class Act:
    """What one act took: *took_s* in all, *delays_ms* of each registration, *cpu_s* of all servers."""

    delays_ms: list[float] = field(default_factory=list)
    failures: int = 0
    took_s: float = 0.0
    cpu_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """Give what the table shows."""
        count = max(1, len(self.delays_ms))
        ordered = sorted(self.delays_ms) or [0.0]
        return {
            "server CPU, µs": self.cpu_s / count * 1e6,
            "p50, ms": statistics.median(ordered),
            "p99, ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
            "a second": len(self.delays_ms) / self.took_s if self.took_s else 0.0,
            "until the last, s": self.took_s,
        }


class Pool:
    """The front ends of one pool that run, and the phones of their users."""

    def __init__(self, organisation: Organisation, reactor: Reactor, phones: int, servers: tuple[str, ...]) -> None:
        self.organisation, self._reactor, self._servers = organisation, reactor, servers
        self._trust = Trust.of_pem(organisation.root.read_bytes())
        self.running: dict[str, Forked] = {}
        self.users = [f"user{number}" for number in range(phones)]
        self._instances = {user: new_instance() for user in self.users}
        self.agents: dict[str, UserAgent] = {}

    async def start(self) -> None:
        """Start the servers, and wait until each one answers."""
        for name in self._servers:
            with (self.organisation.folder / f"{name}.log").open("ab") as log:
                file = str(self.organisation.file)
                self.running[name] = forkserver.start(("serve", name, "--topology", file), log)
        for name in self._servers:
            await self._ready(name)

    async def _ready(self, name: str) -> None:
        ends = time.monotonic() + READY_S
        while time.monotonic() < ends:
            try:
                await ask(self.organisation.folder / "state" / f"{name}{SOCKET_SUFFIX}", "status")
            except SipmeshError:
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return
        raise MeasurementError(f"{name} does not start: {(self.organisation.folder / f'{name}.log').read_text()}")

    async def stop(self) -> None:
        """End everything."""
        for agent in self.agents.values():
            await agent.close()
        for server in self.running.values():
            server.kill()
            await server.waited()

    def cpu_s(self) -> float:
        """CPU time of the servers that run, in seconds."""
        return sum(_cpu_s(server.pid) for server in self.running.values())

    def home(self, user: str) -> str:
        """The server of a phone at first."""
        return self._servers[self.users.index(user) % len(self._servers)]

    async def connect(self, user: str, server: str) -> None:
        """Give a phone a link to *server*, in place of its link."""
        agent = UserAgent(
            f"{user}@{DOMAIN}",
            f"{user}-secret",
            trust=self._trust,
            reactor=self._reactor,
            settings=Settings(Manners()),
            instance=self._instances[user],
        )
        old, self.agents[user] = self.agents.get(user), agent
        if old is not None:
            await old.close()
        await agent.connect(*self.organisation.address(server, LinkKind.CLIENT))

    async def connect_all(self) -> None:
        """Give each phone a link to its first server."""
        for user in self.users:
            await self.connect(user, self.home(user))

    async def register(self, user: str) -> bool:
        """Register a phone on its link: a challenge and an answer at first, a refresh later."""
        return (await self.agents[user].register()).ok

    async def move(self, user: str) -> bool:
        """Register a phone whose server is gone at one of the others."""
        others = [name for name in self._servers if name in self.running]
        await self.connect(user, others[self.users.index(user) % len(others)])
        return await self.register(user)

    async def is_reached(self, user: str) -> bool:
        """Tell whether a message of the first user arrives."""
        return (await self.agents[self.users[0]].message(f"sip:{user}@{DOMAIN}", "hello")).ok


async def act(pool: Pool, users: Sequence[str], do: Callable[[str], Awaitable[bool]], at_once: int = AT_ONCE) -> Act:
    """Have each of *users* do something once, so many at a time."""
    done, room = Act(), asyncio.Semaphore(at_once)

    async def one(user: str) -> None:
        async with room:
            began = time.monotonic()
            try:
                is_good = await do(user)
            except SipmeshError:
                is_good = False
            done.delays_ms.append((time.monotonic() - began) * 1e3)
            done.failures += not is_good

    began, cpu_s = time.monotonic(), pool.cpu_s()
    await asyncio.gather(*map(one, users))
    done.took_s, done.cpu_s = time.monotonic() - began, pool.cpu_s() - cpu_s
    return done


async def measure(folder: Path, phones: int, store: str) -> dict[str, Act]:
    """Make the acts with the registrations in *store*: a URL, or "" for the file."""
    async with running_pool(folder, phones, store) as pool:
        await pool.connect_all()
        acts = {"first login": await act(pool, pool.users, pool.register)}
        acts["refresh"] = await act(pool, pool.users, pool.register)
        gone = SERVERS[-1]
        server = pool.running.pop(gone)
        server.send_signal(signal.SIGKILL)
        await server.waited()
        moved = [user for user in pool.users if pool.home(user) == gone]
        acts["storm"] = await act(pool, moved, pool.move, len(moved))
        reached = await act(pool, moved, pool.is_reached)
        acts["storm"].failures += reached.failures
        return acts


@asynccontextmanager
async def running_pool(
    folder: Path, phones: int, store: str, servers: tuple[str, ...] = SERVERS, workers: int = 1
) -> AsyncIterator[Pool]:
    """Run *servers* with so many *workers* each; the registrations are in *store*: a URL, or "" for the file."""
    organisation = Organisation.build(folder, DOMAIN, (PoolPlan(f"pool1.{DOMAIN}", Role.FRONT_END, servers),))
    document: dict[str, Any] = organisation.document
    for server in document["pools"][0]["servers"]:
        server["workers"] = workers
    if store:
        document["storage"] = {"bindings": store}
    organisation.write()
    organisation.issue_all()
    reactor = Reactor(asyncio.get_running_loop())
    pool = Pool(organisation, reactor, phones, servers)
    organisation.add_users(*pool.users)
    try:
        await pool.start()
        yield pool
    finally:
        await pool.stop()
        reactor.close()


@contextmanager
def running_valkey(folder: Path) -> Iterator[str]:
    """Run a Valkey; gives its URL."""
    found, port = shutil.which("valkey-server"), free_port(HOST)
    if found is None:
        raise MeasurementError("valkey-server is not installed")
    where = ("--bind", HOST, "--port", port, "--protected-mode", "no", "--save", "", "--dir", folder)
    with started(list(map(str, (found, *where))), (HOST, port), folder / "valkey.log"):
        yield f"valkey://{HOST}:{port}"


def measured(phones: int, rounds: int) -> dict[tuple[str, str], list[Act]]:
    """Measure both stores in turns, *rounds* times; gives the acts by store and name."""
    taken: dict[tuple[str, str], list[Act]] = {}
    with tempfile.TemporaryDirectory(prefix="sipmesh-registrations-") as name:
        for turn in range(rounds):
            for store in (FILE, VALKEY):
                folder = Path(name) / f"{store}{turn}"
                folder.mkdir()
                with (
                    running_valkey(folder) if store == VALKEY else nullcontext("") as url,
                    asyncio.Runner(loop_factory=Loop) as run,
                ):
                    for act_name, done in run.run(measure(folder / "o", phones, url)).items():
                        taken.setdefault((store, act_name), []).append(done)
    return taken


def report(taken: dict[tuple[str, str], list[Act]]) -> str:
    """Write the table: the median of the rounds with each store, and the median of the ratios of the rounds."""
    rows = []
    for name in dict.fromkeys(name for _, name in taken):
        in_file, in_valkey = ([one.figures() for one in taken[store, name]] for store in (FILE, VALKEY))
        for figure in in_file[0]:
            pairs = [(ours[figure], theirs[figure]) for ours, theirs in zip(in_file, in_valkey, strict=True)]
            ratio = statistics.median(theirs / ours if ours else 0.0 for ours, theirs in pairs)
            medians = [statistics.median(values) for values in zip(*pairs, strict=True)]
            rows.append([name, figure, *map(number, medians), number(ratio)])
        failures = [str(sum(one.failures for one in taken[store, name])) for store in (FILE, VALKEY)]
        rows.append([name, "failures", *failures, ""])
    return table(("act", "figure", FILE, VALKEY, "ratio"), rows)


def _cpu_s(pid: int) -> float:
    """Give the CPU time of all threads of a process and of its workers, in seconds; the kernel counts nanoseconds here."""
    own = sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return own / 1e9 + sum(map(_cpu_s, children_of(pid)))


def main() -> int:
    """Measure and print; 1 if a registration failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=300, help="at three front ends; a third of them moves")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both stores")
    given = parser.parse_args()
    if given.phones < len(SERVERS):
        parser.error(f"each of the {len(SERVERS)} servers needs a phone")
    try:
        taken = measured(given.phones, given.rounds)
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    sys.stdout.write(report(taken))
    return int(any(one.failures for acts in taken.values() for one in acts))


if __name__ == "__main__":
    sys.exit(main())
