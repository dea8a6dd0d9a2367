"""Counts the instructions of each stage of a relayed transaction, in a compiled install: a count has no noise.

Needs valgrind, and the compiled install of `make compiled`. What the kernel does is not counted. With --login it counts a first
login instead, with --call a call that is forked to two devices. With --often it writes down which functions every message and
every call runs through: the next `make compiled` has them lie close together.
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
from contextlib import contextmanager
from pathlib import Path

from bench.bed import CLIENT_PORT, HERE, HOST, SINK_AT, WHERE, MeasurementError, Server, build, started
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
        "CPyDef_digest_auth___DigestAuth___answer",
    ),
    "register: decide, bindings": ("CPyDef_registrations___Registrations___register", STORED),
}
MEDIA = "media: session descriptions"
CALL_STAGES = {**STAGES, MEDIA: ("CPyDef_judgement___fault_in",)}
READ = "CPyDef_link___reader___LinkReader___read"
LOGINS, LOGINS_AT_ONCE = 200, 20
"""With so many at once, hardly any response is written before the end of a turn: the rest is without the writes."""

RATE, WARM_UP_S, COUNTED_S = 40, 4, 6
REQUESTS_OF_A_CALL = 2
"""An INVITE and a BYE are forwarded as transactions; an ACK is none."""

OFTEN = HERE.parent / "hatch_often.txt"
NEARLY = 0.9
"""Counting begins and ends amidst transactions."""

NAMED = re.compile(r"(c?)fn=\((\d+)\)(?: (.*))?")
CALLS = re.compile(r"calls=(\d+)")
ASIDE = re.compile(r"\.\w+\.\d+|'\d+")
"""What compilers add to the name of a part of a function, and callgrind to that of one that runs within itself."""


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
    made = [PYTHON, HERE / "organisation.py", "--pki", pki, "--run", run, *WHERE, *SINK_AT, *size]
    subprocess.run(list(map(str, made)), check=True)
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    serve = [PYTHON, "-m", "sipmesh", "serve", "p1.a.test", "--topology", run / "sipmesh" / "topology.yaml"]
    with started(list(map(str, [*tool, *serve])), (HOST, CLIENT_PORT), run / "server.log") as process:
        yield Server(process.pid, pki)


def messages(server: Server, seconds: int) -> None:
    """Relay messages at a low rate: one to a wake-up."""
    server.messages("--rate", RATE, "--links", 4, "--seconds", seconds)


def calls(server: Server, seconds: int) -> None:
    """Set calls up and end them, a few at once."""
    server.load("calls", "--links", 4, "--window", 4, "--seconds", seconds)


def run_through(costs: Costs, requests: int) -> set[str]:
    """Name the functions of ours that ran once or more for so many *requests* that were forwarded."""
    ran: Counter[str] = Counter()
    for name, times in costs.calls.items():
        ran[ASIDE.sub("", name)] += times
    least = ran[TRANSACTION] / requests * NEARLY
    if not least:
        raise MeasurementError("no transaction was counted: is sipmesh compiled?")
    return {name for name, times in ran.items() if name.startswith("CPyDef_") and times >= least}


def count(folder: Path, work: Callable[[Server, int], None]) -> Costs:
    """Put *work* on a server for so many seconds, and count in the middle of it."""
    make_pki(folder / "pki", revoked=10)
    out = folder / "callgrind.out"
    with watched(folder / "pki", folder / "run", out) as server, ThreadPoolExecutor(1) as beside:
        sent = beside.submit(work, server, WARM_UP_S + COUNTED_S + 2)
        time.sleep(WARM_UP_S)
        switch(server.pid, "on")
        time.sleep(COUNTED_S)
        switch(server.pid, "off")
        sent.result()
    with out.open(errors="replace") as lines:
        return Costs(lines)


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


def stages(what: str, found: dict[str, float]) -> str:
    """Lay out the stages of *what*."""
    rows = [[name, number(cost), f"{cost / found['all']:.0%}"] for name, cost in found.items()]
    return table(("stage", f"instructions per {what}", "share"), rows)


def write_often() -> str:
    """Write down what runs often, and say how much that is."""
    found: set[str] = set()
    for work, requests in ((messages, 1), (calls, REQUESTS_OF_A_CALL)):
        with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
            found |= run_through(count(Path(folder), work), requests)
    OFTEN.write_text("".join(f"{name}\n" for name in sorted(found)))
    return f"{len(found)} functions in {OFTEN.name}\n"


def main() -> int:
    """Count, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--login", dest="act", action="store_const", const=login_budget, help="count a first login")
    what.add_argument("--call", dest="act", action="store_const", const=call_budget, help="count a forked call")
    what.add_argument("--often", dest="act", action="store_const", const=write_often, help=f"write {OFTEN.name} anew")
    act = parser.parse_args().act or budget
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
