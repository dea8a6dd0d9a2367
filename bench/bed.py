"""Where measurements are made: servers started afresh and pinned to one core, and the load generator on another."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
LOAD = HERE / "load" / "load"

HOST = "127.0.76.1"  # as kamailio.cfg and tls.cfg have it
CLIENT_PORT, SERVER_PORT, VALKEY_PORT = 5061, 5071, 6379
SINK_HOST, SINK_PORT = "127.0.76.2", 5081
SECOND_HOST = "127.0.76.4"

TRUNK_PORT = 5091
KAMAILIO_TABLES = Path("/usr/share/kamailio/db_sqlite")
IN_MEMORY = Path("/dev/shm")  # noqa: S108 # a file system, in which a folder of our own is made

START_S, STOP_S = 180.0, 20.0
LONGEST_RUN_S = 600.0
WHERE = ("--host", HOST, "--client-port", CLIENT_PORT, "--server-port", SERVER_PORT)
SINK_AT = ("--sink-host", SINK_HOST, "--sink-port", SINK_PORT)

AS_GATEWAY = ("--gateway", "--sink-port", TRUNK_PORT)
"""Options of organisation.py for a gateway between a front end and a trunk."""

Result = dict[str, Any]


class MeasurementError(Exception):
    """A figure could not be had; the text says which, and what the tools wrote."""


def build() -> None:
    """Compile the load generator, if it is not there yet."""
    made = subprocess.run(["make", "-C", LOAD.parent], capture_output=True, text=True, check=False)
    if made.returncode:
        raise MeasurementError(f"the load generator cannot be built (bench/setup says what is missing):\n{made.stderr}")


def has_kamailio() -> bool:
    """Tell whether there is something to compare with."""
    return _find_kamailio() is not None


def _find_kamailio() -> str | None:
    """Servers of Debian are not in the PATH of every user."""
    return shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/sbin")


def children_of(pid: int) -> list[int]:
    """List the processes that a process has started, and that run."""
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


def workers_of(pid: int) -> list[int]:
    """List the workers of the server that is the process *pid*: the process that they are forked from is between."""
    return [worker for template in children_of(pid) for worker in children_of(template)]


def pinned(command: list[str], *, first: bool) -> list[str]:
    """Put a command on the first core, or on the last; where there is but one, nothing is gained."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return command
    return ["taskset", "--cpu-list", str(cores[0] if first else cores[-1]), *command]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is running."""

    pid: int
    pki: Path
    way: tuple[object, ...] = ()
    """Options of the load that say where its users are at home."""

    @property
    def command(self) -> list[str]:
        """The command line that it has by now."""
        return Path(f"/proc/{self.pid}/cmdline").read_text().split("\0")

    def load(self, mode: str, *options: object, port: int = CLIENT_PORT) -> Result:
        """Put a load on it; raises `MeasurementError` where there is no figure."""
        command = [LOAD, mode, "--connect", f"{HOST}:{port}", "--ca", self.pki / "ca.pem", "--pid", self.pid, *options]
        ran = subprocess.run(
            pinned(list(map(str, command)), first=False),
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_S,
            check=False,
        )
        if not ran.stdout:
            raise MeasurementError(f"{' '.join(map(str, command))}:\n{ran.stderr}")
        result: Result = json.loads(ran.stdout)
        return result

    def messages(self, *options: object) -> Result:
        """Messages from users to the sink."""
        return self.load("messages", *self._sink, *options)

    def user_messages(self, *options: object) -> Result:
        """Messages from users to users."""
        return self.load("messages", "--users", *self.way, *options)

    def overload(self, rate: int, *options: object) -> Result:
        """Messages from users to the sink in an open loop, *rate* a second."""
        return self.load("overload", *self._sink, "--rate", rate, *options)

    def storm(self, phones: int, addresses: int) -> Result:
        """Phones that log in all at once, from so many addresses."""
        return self.load("storm", "--links", phones, "--sources", addresses)

    def peer_messages(self, *options: object) -> Result:
        """Messages from another server to the sink."""
        return self.load("messages", *self._sink, *self._peer, *options, port=SERVER_PORT)

    def trunk_calls(self, *options: object) -> Result:
        """Calls of a front end through this gateway to a trunk."""
        front_end = ("--certificate", self.pki / "p2.pem", "--key", self.pki / "p2.key")
        trunk = ("--sink-certificate", self.pki / "trunk.pem", "--sink-key", self.pki / "trunk.key")
        to = ("--sink", f"{SINK_HOST}:{TRUNK_PORT}")
        return self.load("calls", *to, *trunk, *front_end, "--window", 40, *options, port=SERVER_PORT)

    def handshakes(self, *options: object) -> Result:
        """Mutual handshakes of another server."""
        return self.load("handshakes", *self._peer, *options, port=SERVER_PORT)

    @property
    def _sink(self) -> tuple[object, ...]:
        credentials = ("--sink-certificate", self.pki / "sink.pem", "--sink-key", self.pki / "sink.key")
        return ("--sink", f"{SINK_HOST}:{SINK_PORT}", *credentials)

    @property
    def _peer(self) -> tuple[object, ...]:
        return ("--certificate", self.pki / "peer.pem", "--key", self.pki / "peer.key")


@contextmanager
def sipmesh(pki: Path, run: Path, *size: object) -> Iterator[Server]:
    """Run sipmesh, with an organisation of the given size (options of organisation.py)."""
    command = [HERE / "sut", "--pki", pki, "--run", run, *WHERE, *SINK_AT, *size]
    port = SERVER_PORT if AS_GATEWAY[0] in size else CLIENT_PORT
    with _running(command, port, pki, run) as server:
        yield server


@contextmanager
def two_front_ends(pki: Path, run: Path, *size: object) -> Iterator[Server]:
    """Run sipmesh as two front ends of two pools, between which each message of a user to a user passes; *pid* is of both."""
    with sipmesh(pki, run, *size, "--second-host", SECOND_HOST) as server:
        wait_for_port((SECOND_HOST, CLIENT_PORT))
        yield Server(server.pid, pki, ("--second", f"{SECOND_HOST}:{CLIENT_PORT}", "--name", "a.test"))


@contextmanager
def on_valkey(pki: Path, run: Path, *size: object) -> Iterator[Server]:
    """Run sipmesh with its registrations in a Valkey, which runs beside the load."""
    found = shutil.which("valkey-server")
    if found is None:
        raise MeasurementError("valkey-server is not installed")
    run.mkdir(parents=True, exist_ok=True)
    where = ("--bind", HOST, "--port", VALKEY_PORT, "--protected-mode", "no", "--save", "", "--dir", run)
    command = pinned(list(map(str, (found, *where))), first=False)
    with (
        started(command, (HOST, VALKEY_PORT), run / "valkey.log"),
        sipmesh(pki, run, *size, "--store", f"valkey://{HOST}:{VALKEY_PORT}") as server,
    ):
        yield server


@contextmanager
def kamailio(pki: Path, run: Path, *defines: str) -> Iterator[Server]:
    """Run Kamailio, with one worker and the fastest of its allocators; *defines* are those of kamailio.cfg."""
    found = _find_kamailio()
    if found is None:
        raise MeasurementError("Kamailio is not installed")
    memory = ("-x", "tlsf", "-m", 4096, "-M", 16)
    defined = [option for define in defines for option in ("-A", define)]
    files = ("-f", HERE / "kamailio.cfg", "-w", pki, "-Y", run, "-P", run / "pid")
    command = [found, "-DD", "-E", *memory, *defined, *files]
    with _running(command, CLIENT_PORT, pki, run) as server:
        yield server


@contextmanager
def storing_kamailio(pki: Path, run: Path) -> Iterator[Server]:
    """Run Kamailio so that it writes each registration to a file before it answers, without waiting for a disk: as sipmesh does.

    SQLite's "synchronous" cannot be switched off in Kamailio. So the file is in memory, where the kernel has nothing to wait for.
    """
    with (
        tempfile.TemporaryDirectory(prefix="sipmesh-bench-", dir=IN_MEMORY) as folder,
        kamailio(pki, run, *location_store(Path(folder, "location.db"))) as server,
    ):
        yield server


def location_store(file: Path) -> tuple[str, ...]:
    """Make a database for Kamailio's registrations; return the defines of kamailio.cfg that have it used."""
    make_tables(file, "usrloc")
    return f'STORED="sqlite:///{file}"', f'JOURNAL="{file}=WAL"', f'BUSY="{file}=300"'


@contextmanager
def routing_kamailio(pki: Path, run: Path) -> Iterator[Server]:
    """Run Kamailio so that it finds the trunk of a call by drouting, and a server of the trunk by dispatcher."""
    with (
        tempfile.TemporaryDirectory(prefix="sipmesh-bench-", dir=IN_MEMORY) as folder,
        kamailio(pki, run, *trunk_tables(Path(folder, "trunks.db"), f"{SINK_HOST}:{TRUNK_PORT}")) as server,
    ):
        yield server


def trunk_tables(file: Path, trunk: str) -> tuple[str, ...]:
    """Make a database with one trunk, at *trunk*, for numbers with +4989; return the defines of kamailio.cfg that use it."""
    make_tables(file, "drouting", "dispatcher")
    with closing(sqlite3.connect(file)) as db, db:
        gateway = (f"{trunk};transport=tls", "1")
        db.execute("INSERT INTO dr_gateways (gwid, address, attrs) VALUES (1, ?, ?)", gateway)
        db.execute(
            "INSERT INTO dr_rules (groupid, prefix, timerec, routeid, gwlist) VALUES ('0', '+4989', '', '0', '1')"
        )
        db.execute("INSERT INTO dispatcher (setid, destination) VALUES (1, ?)", (f"sip:{trunk};transport=tls",))
    return (f'TRUNKS="sqlite:///{file}"',)


def make_tables(file: Path, *modules: str) -> None:
    """Make the tables of modules of Kamailio in a database of their own."""
    if not KAMAILIO_TABLES.is_dir():
        raise MeasurementError("Kamailio's module for SQLite is not installed")
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE version (table_name TEXT UNIQUE, table_version INTEGER)")
        for module in modules:
            db.executescript((KAMAILIO_TABLES / f"{module}-create.sql").read_text())


@contextmanager
def floor(pki: Path, run: Path) -> Iterator[Server]:
    """Run the least that a server can be for a handshake."""
    credentials = ("--ca", pki / "ca.pem", "--certificate", pki / "p1.pem", "--key", pki / "p1.key")
    command = [LOAD, "floor", "--listen", f"{HOST}:{SERVER_PORT}", *credentials, "--seconds", int(LONGEST_RUN_S)]
    with _running(command, SERVER_PORT, pki, run) as server:
        yield server


@contextmanager
def _running(command: list[object], port: int, pki: Path, run: Path) -> Iterator[Server]:
    """Start a server, wait until it listens, and end it."""
    if _listens((HOST, port)):
        raise MeasurementError(f"{HOST}:{port} is taken: does another measurement run?")
    run.mkdir(parents=True, exist_ok=True)
    with started(pinned(list(map(str, command)), first=True), (HOST, port), run / "server.log") as process:
        yield Server(process.pid, pki)


@contextmanager
def started(command: list[str], address: tuple[str, int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it listens at *address*, and end it; what it says goes to *log*."""
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        _wait_for(process, address, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], address: tuple[str, int], log: Path) -> None:
    end = time.monotonic() + START_S
    while not _listens(address):
        if process.poll() is not None or time.monotonic() > end:
            raise MeasurementError(f"the server does not start:\n{log.read_text()}")
        time.sleep(0.05)


def wait_for_port(address: tuple[str, int]) -> None:
    """Wait until a server listens at *address*; raises `MeasurementError` if none does."""
    end = time.monotonic() + START_S
    while not _listens(address):
        if time.monotonic() > end:
            raise MeasurementError(f"nobody listens at {address[0]}:{address[1]}")
        time.sleep(0.05)


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0
