"""Measures sipmesh beside Kamailio on the same work, in turns, and writes a table of the ratios.

A ratio below 1 means that sipmesh needs less; for what is counted per second, above 1 means that it does more. With
--growth: how the cost of sipmesh grows with the size of the network and of the messages.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.bed import (
    AS_GATEWAY,
    HERE,
    RESULTS,
    MeasurementError,
    Result,
    Server,
    build,
    floor,
    has_kamailio,
    kamailio,
    on_valkey,
    routing_kamailio,
    sipmesh,
    storing_kamailio,
    two_front_ends,
)
from bench.growth import SERIES, measure_growth
from bench.pki import make_pki
from bench.table import number, table

Start = Callable[..., AbstractContextManager[Server]]
OURS, VALKEY, NOTHING = "sipmesh", "sipmesh on Valkey", "—"
STORING_KAMAILIO = "Kamailio that stores"
"""Kamailio that writes each first login to a file before its 200; alone it keeps them in memory."""
ROUTING_KAMAILIO = "Kamailio with drouting and dispatcher"
ONE_PROCESS = "one-process"
"""sipmesh without workers."""
UNRECORDED = "sipmesh without call records"
UNRULED = "sipmesh without rules of calls"
TWO_FRONT_ENDS = "two front ends"
"""sipmesh, with every other user at a front end of another pool: both servers on the core of the one."""

PEERS = ("--links", 4)
LOGINS = 1_000
QUIET = 0.1
"""Other work that takes more than this part of a core is worth a word."""
PER_TRANSACTION = {"server_us": "server CPU, µs per request", "p50_ms": "p50, ms", "p99_ms": "p99, ms"}


STORM = {"took_s": "until the last is logged in, s", "resets": "resets", "server_us": "server CPU, µs per login"}
TIMES = (1, 1.5, 3)
OVERLOAD = {
    "per_s": "200 a second",
    "goodput": "goodput, part of capacity",
    "cpu_goodput": "goodput for the server's CPU, part of capacity",
    "p50_ms": "p50 of 200, ms",
    "refused_per_s": "503 a second",
    "lost_per_s": "lost a second",
}
"""The load is an open loop: what a sender cannot send, or what gets no answer, is lost. Other work on the machine takes goodput
from the server; the one for its CPU does not depend on that."""


def overloaded(server: Server, time: tuple[object, ...]) -> Result:
    """Measure the capacity in a closed loop, and then the open loop at each of `TIMES`."""
    full = server.messages(*time)
    capacity = full["per_s"]
    found: Result = {"errors": full["errors"], "unanswered": full["unanswered"], "capacity_per_s": capacity}
    for times in TIMES:
        result = server.overload(int(capacity * times), *time)
        result["goodput"] = result["per_s"] / capacity
        result["cpu_goodput"] = full["server_us"] / result["server_us"] if result["server_us"] else 0.0
        found |= {f"x{times}_{figure}": result[figure] for figure in OVERLOAD if figure in result}
        found["errors"] += result["errors"]
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of work: how it is done, and which figures of the result are shown under what name.

    *options* of organisation.py say how large `sipmesh` is made, and *load* are further options of the load on it.
    """

    title: str
    work: Callable[[Server, tuple[object, ...]], Result]
    figures: dict[str, str]
    beside: tuple[str, ...] = ("Kamailio",)
    options: tuple[object, ...] = ()
    load: tuple[object, ...] = ()


PARTS = {
    "relay": Part(
        "messages of users to another server, saturated",
        lambda server, time: server.messages(*time),
        {**PER_TRANSACTION, "per_s": "requests a second"},
    ),
    "rate": Part(
        "messages of users to another server, 1,000 a second",
        lambda server, time: server.messages("--rate", 1000, *time),
        PER_TRANSACTION,
    ),
    "peers": Part(
        "messages between servers, saturated",
        lambda server, time: server.peer_messages(*PEERS, *time),
        {**PER_TRANSACTION, "per_s": "requests a second"},
    ),
    "register": Part(
        "refreshes of registrations, with credentials, saturated",
        lambda server, time: server.load("registers", "--window", 20, *time),
        {**PER_TRANSACTION, "server_us": "server CPU, µs per REGISTER", "per_s": "REGISTERs a second"},
    ),
    "login": Part(
        "first logins on links that are up: REGISTER, 401, REGISTER with credentials",
        lambda server, _: server.load("registers", "--logins", "--links", LOGINS, "--window", 40),
        {**PER_TRANSACTION, "server_us": "server CPU, µs per login", "per_s": "logins a second"},
        ("Kamailio", STORING_KAMAILIO),
        options=("--users", LOGINS),
    ),
    "handshake": Part(
        "full mutual TLS 1.3 handshake, 8 in flight",
        lambda server, time: server.handshakes("--links", 8, *time),
        {"server_us": "server CPU, µs per handshake", "p99_ms": "p99, ms", "per_s": "handshakes a second"},
        ("Kamailio", "floor"),
    ),
    "memory": Part(
        "2,000 idle links of clients",
        lambda server, _: server.load("idle", "--links", 2000),
        {"kib_per_link": "PSS, KiB per link", "baseline_kib": "PSS without links, KiB"},
    ),
    "memory-x25519": Part(
        "2,000 idle links of clients that offer X25519 alone, as phones do that know no ML-KEM",
        lambda server, _: server.load("idle", "--links", 2000, "--groups", "X25519"),
        {"kib_per_link": "PSS, KiB per link", "baseline_kib": "PSS without links, KiB"},
    ),
    "calls": Part(
        "calls forked to two devices, 40 at once",
        lambda server, time: server.load("calls", "--links", 10, "--window", 40, *time),
        {
            "server_us": "server CPU, µs per call",
            "answer_p50_ms": "INVITE to 200, p50, ms",
            "answer_p99_ms": "INVITE to 200, p99, ms",
            "p50_ms": "whole call, p50, ms",
            "p99_ms": "whole call, p99, ms",
            "per_s": "calls a second",
        },
    ),
    "trunk": Part(
        "calls of a front end through a gateway to a trunk, 40 at once",
        lambda server, time: server.trunk_calls("--links", 4, *time),
        {
            "server_us": "server CPU, µs per call",
            "answer_p50_ms": "INVITE to 200, p50, ms",
            "p50_ms": "whole call, p50, ms",
            "p99_ms": "whole call, p99, ms",
            "per_s": "calls a second",
        },
        (ROUTING_KAMAILIO,),
        AS_GATEWAY,
    ),
    "recorded-calls": Part(
        "calls forked to two devices, 40 at once, with call records",
        lambda server, time: server.load("calls", "--links", 10, "--window", 40, *time),
        {"server_us": "server CPU, µs per call", "p50_ms": "whole call, p50, ms", "p99_ms": "whole call, p99, ms"},
        (UNRECORDED,),
        ("--call-records",),
    ),
    "ruled-calls": Part(
        "calls forked to two devices, 40 at once, of users with rules of calls",
        lambda server, time: server.load("calls", "--links", 10, "--window", 40, *time),
        {"server_us": "server CPU, µs per call", "p50_ms": "whole call, p50, ms", "p99_ms": "whole call, p99, ms"},
        (UNRULED,),
        ("--rules",),
    ),
    "workers": Part(
        "messages of users to another server, saturated, two workers",
        lambda server, time: server.messages(*time),
        PER_TRANSACTION,
        (ONE_PROCESS,),
        ("--workers", 2),
    ),
    "workers-window": Part(
        "messages of users to another server, saturated, two workers, 80 outstanding for each process",
        lambda server, time: server.messages(*time),
        PER_TRANSACTION,
        (ONE_PROCESS,),
        ("--workers", 2),
        ("--window", 160),
    ),
    "workers-rate": Part(
        "messages of users to another server, 1,000 a second, two workers",
        lambda server, time: server.messages("--rate", 1000, *time),
        PER_TRANSACTION,
        (ONE_PROCESS,),
        ("--workers", 2),
    ),
    "workers-calls": Part(
        "calls forked to two devices, 40 at once, two workers: most calls cross",
        lambda server, time: server.load("calls", "--links", 10, "--window", 40, *time),
        {"server_us": "server CPU, µs per call", "p50_ms": "whole call, p50, ms", "p99_ms": "whole call, p99, ms"},
        (ONE_PROCESS,),
        ("--workers", 2),
    ),
    "store-register": Part(
        "refreshes, registrations in a file beside Valkey",
        lambda server, time: server.load("registers", "--window", 20, *time),
        {"server_us": "server CPU, µs per REGISTER", "p99_ms": "p99, ms"},
        (VALKEY,),
    ),
    "store-login": Part(
        "first logins, registrations in a file beside Valkey",
        lambda server, _: server.load("registers", "--logins", "--links", LOGINS, "--window", 40),
        {"server_us": "server CPU, µs per login", "p99_ms": "p99, ms"},
        (VALKEY,),
        ("--users", LOGINS),
    ),
    "store-message": Part(
        "messages of users to users, registrations in a file beside Valkey",
        lambda server, time: server.user_messages(*time),
        {"server_us": "server CPU, µs per request", "p99_ms": "p99, ms"},
        (VALKEY,),
    ),
    "two": Part(
        "messages of users to users, one front end beside messages across two front ends",
        lambda server, time: server.user_messages("--links", 20, *time),
        {"server_us": "CPU of all servers, µs per request", "p50_ms": "p50, ms", "p99_ms": "p99, ms"},
        (TWO_FRONT_ENDS,),
    ),
    "storm": Part(
        "500 phones behind one address log in at once",
        lambda server, _: server.storm(500, 1),
        STORM,
    ),
    "storm10k": Part(
        "10,000 phones at 16 addresses log in at once",
        lambda server, _: server.storm(10_000, 16),
        STORM,
        options=("--users", 1_000),
    ),
    "overload": Part(
        "open loop above capacity, users to another server",
        overloaded,
        {
            "capacity_per_s": "capacity, requests a second",
            **{f"x{times}_{figure}": f"at {times}: {title}" for times in TIMES for figure, title in OVERLOAD.items()},
        },
    ),
}
"""What each measures is said in its title; the floor is a server in C that only shakes hands and answers a keep-alive."""

STARTS: dict[str, Start] = {
    OURS: sipmesh,
    ONE_PROCESS: sipmesh,
    UNRECORDED: sipmesh,
    UNRULED: sipmesh,
    VALKEY: on_valkey,
    TWO_FRONT_ENDS: two_front_ends,
    "Kamailio": kamailio,
    STORING_KAMAILIO: storing_kamailio,
    ROUTING_KAMAILIO: routing_kamailio,
    "floor": floor,
}

NOTES = """\
Medians of {pairs} runs each, taken in turns; a ratio is the median over those turns, with the least and the greatest.
Server on one core and load on another; where the load needs all of its own, as for handshakes, read the CPU and not what
was done in a second.

sipmesh, run by {interpreter}, authenticates its users, checks who may assert whom, judges each peer by topology,
certificate and CRL, and logs at the default level. Kamailio, with one worker, stateful, and the allocator
tlsf, is set up here to authenticate users at REGISTER alone, and checks certificates and the list only. It keeps
registrations in memory; "Kamailio that stores" writes each first login to SQLite before its 200, as sipmesh does. As
a gateway, sipmesh checks which user a front end asserts, names callers by their number, replaces their Contact and counts the
calls of the trunk; Kamailio finds the trunk by prefix and forwards the call. The floor is a
server in C that does nothing but shake hands.
"""


class Taken:
    """The results of all turns, and what was wrong with any."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, str], list[Result]] = {}
        self.faults: list[str] = []
        self.disturbed = 0.0  # the most that other work took, in cores
        self.interpreter = ""  # that ran sipmesh

    def keep(self, part: str, server: str, result: Result) -> None:
        """Keep one result."""
        self.results.setdefault((part, server), []).append(result)
        self.disturbed = max(self.disturbed, result.get("other_share", 0.0))
        if result["errors"] or result["unanswered"]:
            told = f"{result['errors']} errors, {result['unanswered']} unanswered. {result.get('first_error', '')}"
            self.faults.append(f"{part}, {server}: {told}")

    def values(self, part: str, server: str, figure: str) -> list[float]:
        """The same figure of each turn."""
        return [result[figure] for result in self.results.get((part, server), []) if figure in result]


def measure(parts: list[str], pairs: int, seconds: int, folder: Path) -> Taken:
    """Take turns: each server in each turn, afresh."""
    taken = Taken()
    make_pki(folder / "pki", revoked=10)
    for name in parts:
        part = PARTS[name]
        servers = [OURS, *(one for one in part.beside if "Kamailio" not in one or has_kamailio())]
        for turn in range(1, pairs + 1):
            for server in servers:
                sys.stderr.write(f"{name} {turn}/{pairs}: {server}\n")
                start: Callable[..., AbstractContextManager[Server]] = STARTS[server]
                options, load = (part.options, part.load) if server in {OURS, VALKEY} else ((), ())
                with start(folder / "pki", folder / server, *options) as running:
                    taken.keep(name, server, part.work(running, ("--seconds", seconds, *load)))
                    taken.interpreter = os.path.relpath(running.command[0]) if server == OURS else taken.interpreter
    return taken


def rows(name: str, taken: Taken) -> Iterator[list[str]]:
    """One row for each figure and each server beside ours."""
    part = PARTS[name]
    work = part.title
    for figure, title in part.figures.items():
        ours = taken.values(name, OURS, figure)
        beside = {other: taken.values(name, other, figure) for other in part.beside}
        for other, theirs in beside.items():
            if ours and theirs:
                shown = (number(statistics.median(ours)), other, number(statistics.median(theirs)))
                yield [work, title, *shown, *ratio(ours, theirs)]
                work = ""  # said once for all its figures
        if ours and not any(beside.values()):
            yield [work, title, number(statistics.median(ours)), *[NOTHING] * 4]
            work = ""


def ratio(ours: list[float], theirs: list[float]) -> tuple[str, str]:
    """The median of the ratios of each turn, and their range."""
    found = [mine / other for mine, other in zip(ours, theirs, strict=True) if other]
    if not found:
        return NOTHING, NOTHING
    return f"{statistics.median(found):.2f}", f"{min(found):.2f} .. {max(found):.2f}"


def report(taken: Taken, parts: list[str], pairs: int) -> str:
    """The whole table, with what has to be known to read it."""
    heads = ("work", "figure", OURS, "beside", "its figure", "ratio", "least .. greatest")
    text = (
        table(heads, (row for name in parts for row in rows(name, taken)))
        + "\n"
        + NOTES.format(pairs=pairs, interpreter=taken.interpreter)
    )
    if taken.disturbed > QUIET:
        text += f"\nOther work took up to {taken.disturbed:.2f} cores meanwhile: rely on no single figure.\n"
    if not has_kamailio():
        text += "\nKamailio is not installed here, so sipmesh stands alone.\n"
    if taken.faults:
        text += "\nNot to be relied on:\n\n" + "".join(f"- {fault}\n" for fault in taken.faults)
    return text


def main() -> int:
    """Measure, print and write the table; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = f"{', '.join(PARTS)}; with --growth: {', '.join(SERIES)}"
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all unless given: {choices}")
    parser.add_argument("--growth", action="store_true", help="how the cost of sipmesh grows, instead")
    parser.add_argument("--pairs", type=int, default=3, help="turns of each part, or of each series")
    parser.add_argument("--seconds", type=int, default=2, help="length of each run")
    given = parser.parse_args()
    known = list(SERIES if given.growth else PARTS)
    if unknown := set(given.parts) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))} (there are: {', '.join(known)})")
    parts = given.parts or known
    RESULTS.mkdir(exist_ok=True)
    try:
        build()
        with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
            if given.growth:
                text, sound = measure_growth(parts, given.pairs, given.seconds, Path(folder))
            else:
                taken = measure(parts, given.pairs, given.seconds, Path(folder))
                text, sound = report(taken, parts, given.pairs), not taken.faults
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    file = RESULTS / ("growth.md" if given.growth else "table.md")
    file.write_text(text)
    sys.stdout.write(f"{text}\nwritten to {file.relative_to(HERE.parent)}\n")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
