"""Shows the goodput of a pool second by second, while a front end or a worker is killed, or a front end hangs.

    python -m bench.goodput --phones 60 --rate 60

Phones send messages at a constant rate, with any answers, each to the next phone, which is at the next server. A phone
whose link has ended logs in again at once, at the next server that runs. A message counts for the second in which it is sent.
Seconds in which all arrived share a row.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.bed import MeasurementError, workers_of
from bench.registrations import DOMAIN, FILE, SERVERS, VALKEY, Pool, act, running_pool, running_valkey
from bench.table import number, table
from sipmesh.errors import SipmeshError
from sipmesh.transport.reactor.event_loop import Loop

ANSWER_S: Final = 5.0
BEFORE_S, HANGS_S, AFTER_S = 3, 6, 9
"""Seconds until the fault, how long a server hangs, and how long is shown from the fault on."""
TRY_AGAIN_S: Final = 0.1
WORKERS: Final = 2
HEADS: Final = (
    "fault",
    "second",
    "2xx",
    "refused",
    f"no answer in {ANSWER_S:.0f} s",
    "phone has no link",
    "p50 of 2xx, ms",
    "longest, ms",
)


@dataclass
class Second:
    """What became of the messages that phones wanted to send in one second; *delays_ms* are those of 2xx."""

    delays_ms: list[float] = field(default_factory=list)
    refused: int = 0
    no_answer: int = 0
    no_link: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether each message arrived."""
        return not (self.refused or self.no_answer or self.no_link)

    def row(self) -> list[str]:
        """Give what the table shows."""
        counts = map(str, (len(self.delays_ms), self.refused, self.no_answer, self.no_link))
        delays = (statistics.median(self.delays_ms), max(self.delays_ms)) if self.delays_ms else None
        return [*counts, *(map(number, delays) if delays else ("-", "-"))]


async def kill_front_end(pool: Pool) -> None:
    """End the last front end with SIGKILL."""
    await _end_front_end(pool, signal.SIGKILL)


async def drain_front_end(pool: Pool) -> None:
    """End the last front end as `systemctl stop` does."""
    await _end_front_end(pool, signal.SIGTERM)


async def _end_front_end(pool: Pool, by: signal.Signals) -> None:
    server = pool.running.pop(SERVERS[-1])
    server.send_signal(by)
    await server.waited()


async def kill_worker(pool: Pool) -> None:
    """End one worker of the only front end with SIGKILL."""
    _signal_worker(pool, signal.SIGKILL)


async def stop_worker(pool: Pool) -> None:
    """Stop one worker of the only front end: its supervisor is to find out."""
    _signal_worker(pool, signal.SIGSTOP)


def _signal_worker(pool: Pool, number: signal.Signals) -> None:
    [server] = pool.running.values()
    os.kill(max(workers_of(server.pid)), number)


async def stop_front_end(pool: Pool) -> None:
    """Stop the last front end for some seconds: its kernel still answers, and its links stay up."""
    server = pool.running[SERVERS[-1]]
    server.send_signal(signal.SIGSTOP)
    await asyncio.sleep(HANGS_S)
    server.send_signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a pool of *servers* with so many *workers* each."""

    name: str
    servers: tuple[str, ...]
    workers: int
    happens: Callable[[Pool], Awaitable[None]]


FAULTS: Final = (
    Fault("one of three front ends is killed", SERVERS, 1, kill_front_end),
    Fault(f"one of three front ends hangs for {HANGS_S} s", SERVERS, 1, stop_front_end),
    Fault("one of three front ends is stopped (SIGTERM)", SERVERS, 1, drain_front_end),
    Fault(f"one of {WORKERS} workers is killed", SERVERS[:1], WORKERS, kill_worker),
    Fault(f"one of {WORKERS} workers hangs", SERVERS[:1], WORKERS, stop_worker),
)


class Traffic:
    """Phones that stay logged in, and send *rate* messages a second; *seconds* has what became of them."""

    def __init__(self, pool: Pool, rate: int) -> None:
        self._pool, self._rate = pool, rate
        self._away = set[str]()
        self.seconds: list[Second] = []

    @asynccontextmanager
    async def logged_in(self) -> AsyncIterator[None]:
        """Keep each phone logged in meanwhile."""
        staying = [asyncio.create_task(self._stay(user)) for user in self._pool.users]
        try:
            yield
        finally:
            for task in staying:
                task.cancel()
            await asyncio.gather(*staying, return_exceptions=True)

    async def _stay(self, user: str) -> None:
        while True:
            await self._pool.agents[user].gone()
            self._away.add(user)
            while user in self._away:
                with suppress(SipmeshError):
                    if await self._pool.move(user):
                        self._away.remove(user)
                        break
                await asyncio.sleep(TRY_AGAIN_S)

    async def send(self, seconds: int) -> None:
        """Send for so long, and wait for the answers."""
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        sent: list[asyncio.Task[None]] = []
        users = itertools.cycle(enumerate(self._pool.users, 1))
        for turn in range(seconds * self._rate):
            await asyncio.sleep(began + turn / self._rate - loop.time())
            if turn % self._rate == 0:
                self.seconds.append(Second())
            place, sender = next(users)
            receiver = self._pool.users[place % len(self._pool.users)]
            sent.append(asyncio.create_task(self._send(sender, receiver, self.seconds[-1])))
        await asyncio.gather(*sent)

    async def _send(self, sender: str, receiver: str, second: Second) -> None:
        if sender in self._away:
            second.no_link += 1
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(ANSWER_S):
                outcome = await self._pool.agents[sender].message(f"sip:{receiver}@{DOMAIN}", "hello")
        except (TimeoutError, SipmeshError):
            second.no_answer += 1
        else:
            if outcome.ok:
                second.delays_ms.append((loop.time() - began) * 1e3)
            else:
                second.refused += 1


async def measure(folder: Path, phones: int, rate: int, fault: Fault, store: str) -> list[Second]:
    """Let *fault* happen under traffic; *store* is a URL, or "" for the file."""
    async with running_pool(folder, phones, store, fault.servers, fault.workers) as pool:
        await pool.connect_all()
        if (await act(pool, pool.users, pool.register)).failures:
            raise MeasurementError("not all phones could log in")
        traffic = Traffic(pool, rate)
        async with traffic.logged_in():
            sending = asyncio.create_task(traffic.send(BEFORE_S + AFTER_S))
            await asyncio.sleep(BEFORE_S)
            await fault.happens(pool)
            await sending
        return traffic.seconds


def measured(faults: list[Fault], phones: int, rate: int, store: str) -> Iterator[tuple[Fault, list[Second]]]:
    """Let one fault after the other happen, each to a pool of its own."""
    with tempfile.TemporaryDirectory(prefix="sipmesh-goodput-") as name:
        for place, fault in enumerate(faults):
            folder = Path(name) / str(place)
            folder.mkdir()
            with (
                running_valkey(folder) if store == VALKEY else nullcontext("") as url,
                asyncio.Runner(loop_factory=Loop) as run,
            ):
                yield fault, run.run(measure(folder / "o", phones, rate, fault, url))


def report(taken: list[tuple[str, list[Second]]]) -> str:
    """Write the table from the names of faults and what was seen; second 0 begins with the fault."""
    return table(HEADS, [[name, *row] for name, seconds in taken for row in _rows(seconds)])


def _rows(seconds: list[Second]) -> Iterator[list[str]]:
    """Give the rows of one fault; neighbours in which all arrived, all before or all after it, are one."""
    numbered = enumerate(seconds, -BEFORE_S)
    for (is_whole, _), several in itertools.groupby(numbered, key=lambda one: (one[1].is_whole, one[0] < 0)):
        rows = list(several)
        if is_whole:
            (first, _), (last, _) = rows[0], rows[-1]
            together = Second([delay_ms for _, second in rows for delay_ms in second.delays_ms])
            yield [f"{first} to {last}" if first < last else str(first), *together.row()]
        else:
            yield from ([str(place), *second.row()] for place, second in rows)


def main() -> int:
    """Measure and print; 1 if messages still fail in the last second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=60, help="of the whole pool")
    parser.add_argument("--rate", type=int, default=60, help="messages a second of all phones together")
    parser.add_argument("--store", choices=(FILE, VALKEY), default=FILE, help="where the registrations are")
    parser.add_argument("--fault", default="", metavar="WORDS", help="only the faults whose name has these words")
    given = parser.parse_args()
    faults = [fault for fault in FAULTS if given.fault in fault.name]
    if given.phones < len(SERVERS) or given.rate < 1:
        parser.error(f"each of the {len(SERVERS)} servers needs a phone, and messages are at least one a second")
    if not faults:
        parser.error(f"the faults are: {'; '.join(fault.name for fault in FAULTS)}")
    try:
        taken = list(measured(faults, given.phones, given.rate, given.store))
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    sys.stdout.write(report([(fault.name, seconds) for fault, seconds in taken]))
    return int(any(len(seconds[-1].delays_ms) < given.rate for _, seconds in taken))


if __name__ == "__main__":
    sys.exit(main())
