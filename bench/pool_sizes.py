"""Measures a pool of 1, 2 and 4 front ends, and a front end of 2 workers, each with the file and with Valkey.

    python -m bench.pool_sizes --phones 100

All phones log in, refresh, and send messages, to a phone at the next server. What is compared is the CPU time of all
servers for one login, one refresh and one message. On N cores of their own, N servers do N times as much as this CPU time
allows. The phones share the machine, so the milliseconds are not those of a pool with a core for each server.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.bed import MeasurementError
from bench.registrations import FILE, MOST_SERVERS, NAMES, VALKEY, Act, Pool, act, running_pool, running_valkey
from bench.table import number, table
from sipmesh.transport.reactor.event_loop import Loop

SIZES = ((1, 1), (2, 1), (4, 1), (1, 2))
"""Front ends, and workers of each."""

MESSAGES = 5
"""How many each phone sends that are measured."""

ACTS = ("first login", "refresh", "message")


@dataclass(frozen=True, slots=True)
class Size:
    """One row of the table."""

    servers: int
    workers: int
    store: str


async def measure(folder: Path, phones: int, size: Size, store: str) -> dict[str, Act]:
    """Make the acts in a pool of that size; *store* is a URL, or "" for the file."""
    async with running_pool(folder, phones, store, NAMES[: size.servers], size.workers) as pool:
        await pool.connect_all()
        acts = {name: await act(pool, pool.users, pool.register) for name in ACTS[:2]}
        await act(pool, pool.users, lambda user: sent(pool, user))  # the servers open their links
        acts["message"] = await act(pool, pool.users * MESSAGES, lambda user: sent(pool, user))
        return acts


async def sent(pool: Pool, user: str) -> bool:
    """Send a message to the next user, who is at the next server; tell whether it arrived."""
    receiver = pool.users[(pool.users.index(user) + 1) % len(pool.users)]
    return (await pool.agents[user].message(f"sip:{receiver}@{pool.organisation.domain}", "hello")).ok


def measured(phones: int) -> Iterator[tuple[Size, dict[str, Act]]]:
    """Measure each size with each store, one after the other."""
    with tempfile.TemporaryDirectory(prefix="sipmesh-sizes-") as name:
        for place, size in enumerate(Size(*one, store) for store in (FILE, VALKEY) for one in SIZES):
            folder = Path(name) / str(place)
            folder.mkdir()
            with (
                running_valkey(folder) if size.store == VALKEY else nullcontext("") as url,
                asyncio.Runner(loop_factory=Loop) as run,
            ):
                yield size, run.run(measure(folder / "o", phones, size, url))


def report(taken: Iterable[tuple[Size, dict[str, Act]]]) -> str:
    """Write the table; the ratio of a message is to that of one front end without workers, on the same store."""
    rows, one = [], dict[str, float]()
    for size, acts in taken:
        figures = {name: done.figures() for name, done in acts.items()}
        cpu = [figures[name]["server CPU, µs"] for name in ACTS]
        first = one.setdefault(size.store, cpu[-1])
        failures = sum(done.failures for done in acts.values())
        shown = [number(value) for value in (*cpu, cpu[-1] / first if first else 0.0, figures["message"]["p99, ms"])]
        rows.append([size.store, str(size.servers), str(size.workers), *shown, str(failures)])
    heads = (
        "store",
        "front ends",
        "workers",
        *(f"{name}, CPU µs" for name in ACTS),
        "ratio",
        "message p99, ms",
        "failures",
    )
    return table(heads, rows)


def main() -> int:
    """Measure and print; 1 if a phone failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=100, help="of the whole pool")
    given = parser.parse_args()
    if given.phones < MOST_SERVERS:
        parser.error(f"each of the {MOST_SERVERS} servers needs a phone")
    try:
        taken = list(measured(given.phones))
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    sys.stdout.write(report(taken))
    return int(any(done.failures for _, acts in taken for done in acts.values()))


if __name__ == "__main__":
    sys.exit(main())
