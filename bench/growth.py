"""How the cost of sipmesh grows with the size of the network and of what it carries; nothing but the last two may matter."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.bed import Result, Server, sipmesh
from bench.pki import make_pki
from bench.table import number, table

USUAL_HEADERS = 8
"""Header fields of a request of the load generator before any is added."""

PER_TRANSACTION = {"server_us": "server CPU, µs per request", "p99_ms": "p99, ms", "per_s": "requests a second"}
PER_HANDSHAKE = {"server_us": "server CPU, µs per handshake", "p99_ms": "p99, ms", "per_s": "handshakes a second"}

Work = Callable[[Server], Result]


@dataclass(frozen=True, slots=True)
class Point:
    """One run: the organisation that it is served for, the entries of the CRL, and the load."""

    label: str
    work: Work
    size: tuple[object, ...] = ()
    revoked: int = 10


@dataclass(frozen=True, slots=True)
class Series:
    """Points that differ in one thing."""

    title: str
    points: tuple[Point, ...]
    figures: dict[str, str] = field(default_factory=lambda: PER_TRANSACTION)


def relayed(*options: object) -> Work:
    """Messages of users to the sink."""
    return lambda server: server.messages(*options)


def between_users(*options: object) -> Work:
    """Messages from user to user, each of whom has a binding."""
    return lambda server: server.load("messages", "--users", *options)


def shaken(*options: object) -> Work:
    """Handshakes of another server."""
    return lambda server: server.handshakes("--links", 8, *options)


def series(seconds: int) -> dict[str, Series]:
    """All that is asked, by the name on the command line."""
    time = ("--seconds", seconds)
    return {
        "links": Series(
            "links of users",
            tuple(
                Point(f"{count:,}", relayed("--links", count, *time), ("--users", count)) for count in (20, 200, 2000)
            ),
        ),
        "bindings": Series(
            "bindings in the store; messages from user to user",
            tuple(Point(f"{count:,}", between_users(*time), ("--bindings", count)) for count in (1000, 100_000)),
        ),
        "topology": Series(
            "servers and partners in the topology, as many of each",
            tuple(
                Point(f"{count:,}", relayed(*time), ("--servers", count, "--partners", count)) for count in (10, 1000)
            ),
        ),
        "revoked": Series(
            "entries of the CRL, per handshake",
            tuple(Point(f"{count:,}", shaken(*time), revoked=count) for count in (10, 100_000)),
            PER_HANDSHAKE,
        ),
        "revoked-relay": Series(
            "entries of the CRL, per request",
            tuple(Point(f"{count:,}", relayed(*time), revoked=count) for count in (10, 100_000)),
        ),
        "headers": Series(
            "header fields of a request",
            tuple(Point(f"{count:,}", relayed("--headers", count - USUAL_HEADERS, *time)) for count in (10, 30, 100)),
        ),
        "body": Series(
            "bytes of a body",
            tuple(Point(f"{count:,}", relayed("--body", count, *time)) for count in (100, 1000, 10_000)),
        ),
    }


SERIES = tuple(series(1))


def measure_growth(names: list[str], turns: int, seconds: int, folder: Path) -> tuple[str, bool]:
    """Measure each series in one go, all its points in each turn; gives the tables, and whether all results were sound."""
    text, sound = "", True
    for name in names:
        asked = series(seconds)[name]
        results: list[list[Result]] = [[] for _ in asked.points]
        for turn in range(1, turns + 1):
            for point, taken in zip(asked.points, results, strict=True):
                sys.stderr.write(f"{name} {turn}/{turns}: {point.label}\n")
                taken.append(run(point, folder))
        heads = (asked.title, *asked.figures.values(), "CPU, least .. greatest", "errors")
        text += table(heads, [shown(point, taken, asked) for point, taken in zip(asked.points, results, strict=True)])
        text += "\n"
        sound = sound and not any(map(faults, results))
    return f"Medians of {turns} runs each, taken in turns.\n\n{text}", sound


def run(point: Point, folder: Path) -> Result:
    """Take one point, with a server of its own."""
    credentials = folder / f"pki-{point.revoked}"
    if not credentials.exists():
        make_pki(credentials, point.revoked)
    with sipmesh(credentials, folder / "run", *point.size) as server:
        return point.work(server)


def shown(point: Point, taken: list[Result], asked: Series) -> list[str]:
    """One row."""
    values = {figure: [result[figure] for result in taken if figure in result] for figure in asked.figures}
    cpu = values["server_us"]
    medians = [number(statistics.median(found)) if found else "—" for found in values.values()]
    return [point.label, *medians, f"{number(min(cpu))} .. {number(max(cpu))}", str(faults(taken))]


def faults(taken: list[Result]) -> int:
    """How much went wrong in the runs of one point."""
    return sum(result["errors"] + result["unanswered"] for result in taken)
