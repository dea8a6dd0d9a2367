"""Counts the instructions of each stage of a relayed transaction, in a compiled install: a count has no noise.

Needs valgrind, and the compiled install of `make compiled`. What the kernel does is not counted.
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
from collections.abc import Iterable, Iterator
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
    "frame: cut and split": ("CPyDef_framing___MessageReader___next", "CPyDef_framing___MessageReader___take"),
    "check: what is read of the fields": ("CPyDef_check___check_request", "CPyDef_check___check_response"),
    "edit: the copy, its octets": ("CPyDef_relay___Relay____copy", "CPyDef_rows___Message___encode"),
    "write: TLS": ("CPyDef_link___Link___flush",),
}
ROUTE = "CPyDef_dispatch___Dispatch___arrived"
INSIDE_ROUTE = ("check: what is read of the fields", "edit: the copy, its octets")
"""Stages that are part of what `ROUTE` costs; the rest of it is to decide, and to keep account of transactions."""

RATE, WARM_UP_S, COUNTED_S = 40, 4, 6
NAMED = re.compile(r"(c?)fn=\((\d+)\)(?: (.*))?")
CALLS = re.compile(r"calls=(\d+)")


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


def per_transaction(costs: Costs) -> dict[str, float]:
    """Sort the instructions of one transaction into stages."""
    done = costs.calls[TRANSACTION]
    if not done:
        raise MeasurementError("no transaction was counted: is sipmesh compiled?")
    found = {name: sum(costs.inclusive[one] for one in functions) / done for name, functions in STAGES.items()}
    found["route: decide, transactions"] = costs.inclusive[ROUTE] / done - sum(found[name] for name in INSIDE_ROUTE)
    whole = costs.inclusive[TURN] / done
    found["the rest: the wake-up, links"] = whole - sum(found.values())
    found["all"] = whole
    return found


@contextmanager
def watched(pki: Path, run: Path, out: Path) -> Iterator[Server]:
    """Run the server under callgrind, which counts nothing yet."""
    made = [PYTHON, HERE / "organisation.py", "--pki", pki, "--run", run, *WHERE, *SINK_AT]
    subprocess.run(list(map(str, made)), check=True)
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    serve = [PYTHON, "-m", "sipmesh", "serve", "p1.a.test", "--topology", run / "sipmesh" / "topology.yaml"]
    with started(list(map(str, [*tool, *serve])), (HOST, CLIENT_PORT), run / "server.log") as process:
        yield Server(process.pid, pki)


def count(folder: Path) -> Costs:
    """Relay messages at a low rate, and count in the middle of it."""
    make_pki(folder / "pki", revoked=10)
    out = folder / "callgrind.out"
    with watched(folder / "pki", folder / "run", out) as server:
        load = ("--rate", RATE, "--links", 4, "--seconds", WARM_UP_S + COUNTED_S + 2)
        with ThreadPoolExecutor(1) as beside:
            sent = beside.submit(server.messages, *load)
            time.sleep(WARM_UP_S)
            switch(server.pid, "on")
            time.sleep(COUNTED_S)
            switch(server.pid, "off")
            sent.result()
    with out.open(errors="replace") as lines:
        return Costs(lines)


def switch(pid: int, to: str) -> None:
    """Begin or end to count."""
    subprocess.run(["callgrind_control", "-i", to, str(pid)], check=True, capture_output=True)


def main() -> int:
    """Count, and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if shutil.which("valgrind") is None or not PYTHON.exists():
        sys.stderr.write("this needs valgrind (as root: apt-get install valgrind) and `make compiled`\n")
        return 1
    try:
        build()
        with tempfile.TemporaryDirectory(prefix="sipmesh-bench-") as folder:
            found = per_transaction(count(Path(folder)))
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    rows = [[name, number(cost), f"{cost / found['all']:.0%}"] for name, cost in found.items()]
    sys.stdout.write(table(("stage", "instructions per transaction", "share"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
