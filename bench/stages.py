"""Counts the instructions of each stage of a relayed transaction, in a compiled install: a count has no noise.

Needs valgrind, and the compiled install of `make compiled`. What the kernel does is not counted. With --login it counts a first
login instead, with --call a call that is forked to two devices. With --two it counts a message of a user to a user at one front
end, and at each of the two front ends that a message to a user of another pool passes; with --workers a message to another server
in a server with two workers, beside one process. With --window, so many messages are under way at once, in place of one. Under
load, the workers see their queue grow, since callgrind makes them slow: then overload control is counted too.

With --often it writes down which functions every message, every call and every call through a gateway runs through: the next
`make compiled` has them lie close together.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

from bench.bed import (
    AS_GATEWAY,
    CLIENT_PORT,
    HERE,
    HOST,
    SECOND_HOST,
    SERVER_PORT,
    SINK_AT,
    WHERE,
    MeasurementError,
    Server,
    build,
    started,
    wait_for_port,
    workers_of,
)
from bench.organisation import SECOND
from bench.pki import make_pki
from bench.table import number, table

PYTHON = HERE.parent / ".venv-compiled" / "bin" / "python"
TRANSACTION = "CPyDef_relay___Relay___forward"
TURN = "CPyDef_reactor___Reactor____turn"
STAGES = {
    "read: TLS": ("CPyDef_pyopenssl___PyOpenSslTls___read",),
    "frame: cut and split": ("CPyDef_framing___MessageReader___next", "CPyDef_framing___MessageReader___add"),
    "check: what is read of the fields": ("CPyDef_check___check_request", "CPyDef_check___check_response"),
    "edit: the copy, its octets": (
        "CPyDef_branch_requests___BranchRequests___make",
        "CPyDef_header___Message___encode",
    ),
    "write: TLS": ("CPyDef_link___link___Link____write",),
}
ROUTE = "CPyDef_dispatch___Dispatch___arrived"
OUTSIDE_ROUTE = ("read: TLS", "frame: cut and split")
"""All other stages are part of what `ROUTE` costs; the rest of it is to decide, and to keep account of transactions."""

STORED = "CPyDef_registrations___Registrations____stored"
"""Runs once for each first login, when the store has its row."""
LOGIN_STAGES = {
    "read: TLS": STAGES["read: TLS"],
    "frame: cut and split": STAGES["frame: cut and split"],
    "check: what is read of the fields": ("CPyDef_check___check_request",),
    "authenticate: credentials, nonces": (
        "CPyDef_digest_auth___DigestAuth___check",
        "CPyDef_digest_auth___DigestAuth___refuse",
    ),
    "register: decide, bindings": ("CPyDef_registrations___Registrations___register", STORED),
}
MEDIA = "media: session descriptions"
CALL_STAGES = {**STAGES, MEDIA: ("CPyDef_judgement___fault_in",)}
READ = "CPyDef_link___reader___LinkReader___read"
USERS = 8
LOGINS, LOGINS_AT_ONCE = 200, 20
"""With so many at once, hardly any response is written before the end of a turn: the rest is without the writes."""

RATE, WARM_UP_S, COUNTED_S = 40, 4, 6
REQUESTS_OF_A_CALL = 2
"""An INVITE and a BYE are forwarded as transactions; an ACK is none."""

FIRST = "p1.a.test"
SECOND_AT = (SECOND_HOST, CLIENT_PORT)
CROSSING = ("--second", f"{SECOND_HOST}:{CLIENT_PORT}", "--name", "a.test")
WORKERS = 2

OFTEN = HERE.parent / "hatch_often.txt"
NEARLY = 0.9
"""Counting begins and ends amidst transactions."""

NAMED = re.compile(r"(c?)fn=\((\d+)\)(?: (.*))?")
CALLS = re.compile(r"calls=(\d+)")
ASIDE = re.compile(r"\.\w+\.\d+|'\d+")
"""What compilers add to the name of a part of a function, and callgrind to that of a recursive function."""


class Costs:
    """What a callgrind file says: instructions of each function with all that it calls, and how often it was called."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.inclusive: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        names: dict[str, str] = {}
        caller = callee = ""
        called = 0
        for line in lines:
            if found := NAMED.match(line):
                names.setdefault(found[2], found[3] or "")
                callee, caller = (names[found[2]], caller) if found[1] else (callee, names[found[2]])
            elif found := CALLS.match(line):
                called = int(found[1])
                self.calls[callee] += called
            elif line[:1] in "0123456789+-*" and line.strip():
                # A line of a call holds what the callee took; the caller's total includes it like its own.
                self.inclusive[caller] += int(line.split()[-1])


def per_transaction(costs: Costs, stages: dict[str, tuple[str, ...]] = STAGES) -> dict[str, float]:
    """Sort the instructions of one transaction into *stages*."""
    done = costs.calls[TRANSACTION]
    if not done:
        raise MeasurementError("no transaction was counted: is sipmesh compiled?")
    found = {name: sum(costs.inclusive[one] for one in functions) / done for name, functions in stages.items()}
    inside = sum(cost for name, cost in found.items() if name not in OUTSIDE_ROUTE)
    found["route: decide, transactions"] = costs.inclusive[ROUTE] / done - inside
    whole = costs.inclusive[TURN] / done
    found["the rest: the wake-up, links"] = whole - sum(found.values())
    found["all"] = whole
    return found


def per_call(costs: Costs) -> dict[str, float]:
    """Sort the instructions of one call, which are those of two transactions that are forwarded, into stages."""
    return {name: cost * REQUESTS_OF_A_CALL for name, cost in per_transaction(costs, CALL_STAGES).items()}


def per_login(costs: Costs) -> dict[str, float]:
    """Sort the instructions of one first login into stages: two REGISTERs, and what follows once the row is stored."""
    done = costs.calls[STORED]
    if not done:
        raise MeasurementError("no login was counted: is sipmesh compiled?")
    found = {name: sum(costs.inclusive[one] for one in functions) / done for name, functions in LOGIN_STAGES.items()}
    whole = (costs.inclusive[READ] + costs.inclusive[STORED]) / done
    found["the rest: route, responses"] = whole - sum(found.values())
    found["all"] = whole
    return found


@contextmanager
def watched(pki: Path, run: Path, out: Path, *size: object) -> Iterator[Server]:
    """Run the server under callgrind, which counts nothing yet; *size* are options of organisation.py."""
    organise(pki, run, *size)
    port = SERVER_PORT if AS_GATEWAY[0] in size else CLIENT_PORT
    with valgrind(FIRST, (HOST, port), run, out) as process:
        yield Server(process.pid, pki)


def organise(pki: Path, run: Path, *size: object) -> None:
    """Write the organisation into *run*; *size* are options of organisation.py."""
    made = [PYTHON, HERE / "organisation.py", "--pki", pki, "--run", run, *WHERE, *SINK_AT, *size]
    subprocess.run(list(map(str, made)), check=True)


def valgrind(
    name: str, address: tuple[str, int], run: Path, out: Path
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Start one server of the organisation under callgrind; "%p" in *out* is the number of each process of it."""
    tool = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    serve = [PYTHON, "-m", "sipmesh", "serve", name, "--topology", run / "sipmesh" / "topology.yaml"]
    return started(list(map(str, [*tool, *serve])), address, run / f"{name}.log")


def messages(server: Server, seconds: int) -> None:
    """Relay messages at a low rate: one to a wake-up."""
    server.messages("--rate", RATE, "--links", 4, "--seconds", seconds)


def calls(server: Server, seconds: int) -> None:
    """Set calls up and end them, a few at once."""
    server.load("calls", "--links", 4, "--window", 4, "--seconds", seconds)


def trunk_calls(server: Server, seconds: int) -> None:
    """Set calls through a gateway up and end them, a few at once."""
    server.trunk_calls("--links", 4, "--window", 4, "--seconds", seconds)


def run_through(costs: Costs, requests: int) -> set[str]:
    """Name the functions of ours that ran once or more for so many *requests* that were forwarded."""
    ran: Counter[str] = Counter()
    for name, times in costs.calls.items():
        ran[ASIDE.sub("", name)] += times
    least = ran[TRANSACTION] / requests * NEARLY
    if not least:
        raise MeasurementError("no transaction was counted: is sipmesh compiled?")
    return {name for name, times in ran.items() if name.startswith("CPyDef_") and times >= least}


def count(folder: Path, work: Callable[[Server, int], None], *size: object) -> Costs:
    """Put *work* on a server for so many seconds, and count in the middle of it; *size* are options of organisation.py."""
    make_pki(folder / "pki", revoked=10)
    out = folder / "callgrind.out"
    with watched(folder / "pki", folder / "run", out, *size) as server:
        count_within(server, work, [server.pid])
    return read_costs(out)


def count_within(
    server: Server, work: Callable[[Server, int], None], pids: Iterable[int], counted_s: int = COUNTED_S
) -> None:
    """Put *work* on *server*, and count in the processes *pids* for *counted_s* seconds in the middle of it.

    It is begun once before: under callgrind, the first handshake may take longer than the server waits for it.
    """
    with suppress(MeasurementError):
        work(server, 1)
    with ThreadPoolExecutor(1) as beside:
        sent = beside.submit(work, server, WARM_UP_S + counted_s + 2)
        time.sleep(WARM_UP_S)
        for pid in pids:
            switch(pid, "on")
        time.sleep(counted_s)
        for pid in pids:
            switch(pid, "off")
        sent.result()


def read_costs(*files: Path) -> Costs:
    """Sum up what callgrind has written into *files*."""
    found = Costs([])
    for file in files:
        with file.open(errors="replace") as lines:
            one = Costs(lines)
        found.inclusive.update(one.inclusive)
        found.calls.update(one.calls)
    return found


def user_messages(*options: object) -> Callable[[Server, int], None]:
    """Send messages from users with even numbers to the others; *options* say how many."""

    def work(server: Server, seconds: int) -> None:
        server.user_messages("--links", USERS, "--one-way", *options, "--seconds", seconds)

    return work


def count_two(folder: Path, work: Callable[[Server, int], None]) -> tuple[Costs, Costs]:
    """Put messages that cross two front ends on both, and count in each: the first has the senders, the second the receivers."""
    pki, run, outs = folder / "pki", folder / "run", [folder / "first.out", folder / "second.out"]
    make_pki(pki, revoked=10)
    organise(pki, run, "--second-host", SECOND_HOST)
    with (
        valgrind(FIRST, (HOST, CLIENT_PORT), run, outs[0]) as first,
        valgrind(SECOND, SECOND_AT, run, outs[1]) as second,
    ):
        wait_for_port(SECOND_AT)
        count_within(Server(first.pid, pki, CROSSING), work, [first.pid, second.pid])
    return read_costs(outs[0]), read_costs(outs[1])


def count_workers(folder: Path, work: Callable[[Server, int], None]) -> Costs:
    """Put *work* on a server with workers, and count in all of them, without their supervisor."""
    make_pki(folder / "pki", revoked=10)
    with watched(folder / "pki", folder / "run", folder / "%p.out", "--workers", WORKERS) as server:
        workers = workers_of(server.pid)
        count_within(server, work, workers)
    return read_costs(*(folder / f"{pid}.out" for pid in workers))


def count_logins(folder: Path) -> Costs:
    """Count while phones open their links and log in."""
    make_pki(folder / "pki", revoked=10)
    out = folder / "callgrind.out"
    with watched(folder / "pki", folder / "run", out, "--users", LOGINS) as server:
        switch(server.pid, "on")
        server.load("registers", "--logins", "--links", LOGINS, "--window", LOGINS_AT_ONCE)
        switch(server.pid, "off")
    with out.open(errors="replace") as lines:
        return Costs(lines)


def switch(pid: int, to: str) -> None:
    """Begin or end to count."""
    subprocess.run(["callgrind_control", "-i", to, str(pid)], check=True, capture_output=True)


def budget() -> str:
    """Give the table of the stages of a transaction."""
    with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
        return stages("transaction", per_transaction(count(Path(folder), messages)))


def call_budget() -> str:
    """Give the table of the stages of a call."""
    with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
        return stages("call", per_call(count(Path(folder), calls)))


def login_budget() -> str:
    """Give the table of the stages of a first login."""
    with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
        return stages("login", per_login(count_logins(Path(folder))))


def two_budget(window: int) -> str:
    """Give the table of the stages of a message at one front end, and at each of two."""
    work = user_messages("--window", window)
    with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
        one, (first, second) = count(Path(folder) / "1", work), count_two(Path(folder) / "2", work)
    found = [per_transaction(costs) for costs in (one, first, second)]
    return beside(("one front end", "the first of two", "the second", "both / one"), found)


def worker_budget(window: int) -> str:
    """Give the table of the stages of a message in one process, and in one of several workers."""

    def work(server: Server, seconds: int) -> None:
        server.messages("--links", USERS, "--window", window, "--seconds", seconds)

    with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
        found = [count(Path(folder) / "1", work), count_workers(Path(folder) / "2", work)]
    return beside(("one process", "workers", "workers / one"), list(map(per_transaction, found)))


def beside(heads: tuple[str, ...], found: list[dict[str, float]]) -> str:
    """Lay out the stages of a message in several places, the first of which is the measure of the others together."""
    rows = [
        [stage, *(number(one[stage]) for one in found), f"{sum(one[stage] for one in found[1:]) / found[0][stage]:.2f}"]
        for stage in found[0]
    ]
    return table(("instructions per message", *heads), rows)


def stages(what: str, found: dict[str, float]) -> str:
    """Lay out the stages of *what*."""
    rows = [[name, number(cost), f"{cost / found['all']:.0%}"] for name, cost in found.items()]
    return table(("stage", f"instructions per {what}", "share"), rows)


def write_often() -> str:
    """Write down what runs often, and say how much that is."""
    found: set[str] = set()
    kinds = ((messages, 1, ()), (calls, REQUESTS_OF_A_CALL, ()), (trunk_calls, REQUESTS_OF_A_CALL, AS_GATEWAY))
    for work, requests, size in kinds:
        with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
            found |= run_through(count(Path(folder), work, *size), requests)
    with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
        for costs in count_two(Path(folder), user_messages("--window", 1)):
            found |= run_through(costs, 1)
    OFTEN.write_text("".join(f"{name}\n" for name in sorted(found)))
    return f"{len(found)} functions in {OFTEN.name}\n"


def main() -> int:
    """Count, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--login", dest="act", action="store_const", const=login_budget, help="count a first login")
    what.add_argument("--call", dest="act", action="store_const", const=call_budget, help="count a forked call")
    what.add_argument("--often", dest="act", action="store_const", const=write_often, help=f"write {OFTEN.name} anew")
    what.add_argument("--two", action="store_true", help="count a message across two front ends, in each of them")
    what.add_argument("--workers", action="store_true", help="count a message in a server with two workers")
    parser.add_argument("--window", type=int, default=1, help="with --two, --workers: messages under way at once")
    given = parser.parse_args()
    act = given.act or budget
    if given.two or given.workers:
        act = partial(two_budget if given.two else worker_budget, given.window)
    if shutil.which("valgrind") is None or not PYTHON.exists():
        sys.stderr.write("this needs valgrind (as root: apt-get install valgrind) and `make compiled`\n")
        return 1
    try:
        build()
        sys.stdout.write(act())
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
