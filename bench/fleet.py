"""A whole organisation as its operator has it: each server a process of its own in a folder of its own, joined by the commands.

Every server has an address of the loopback to itself, so that all of them have the usual ports.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from ruamel.yaml import YAML

from bench.bed import START_S, STOP_S, MeasurementError
from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask

DOMAIN = "example.test"
MGMT = f"mgmt.{DOMAIN}"
SERVER_PORT = 5062
PLAIN: Final = {"COLUMNS": "160", "NO_COLOR": "1"}
"""What the environment of a command has beside that of this process: its text is read."""

MACHINE = "here"
"""All servers share the files of this machine, also those with an address outside of the loopback."""

Pool = tuple[str, str, tuple[str, ...], str]
"""Name, role, servers and next hop of a pool; all of them without the domain."""

SMALL: tuple[Pool, ...] = (
    ("pool1", "front-end", ("fe1", "fe2"), ""),
    ("sip1", "edge", ("edge1",), "pool1"),
)
WHOLE: tuple[Pool, ...] = (
    ("pool1", "front-end", ("fe1", "fe2", "fe3"), ""),
    ("pool2", "front-end", ("fe4", "fe5"), ""),
    ("sip1", "edge", ("edge1",), "pool1"),
    ("sip2", "edge", ("edge2",), "pool2"),
)
"""With management, eight servers."""

Tell = Callable[[str], object]


def _is_known(server: dict[str, Any]) -> bool:
    """Whether management has a report of a server, and reaches it."""
    return server["number"] is not None and bool(server["reached"])


def _name(server: Any) -> str:
    """Return the name of a server, which may be written as its name only."""
    return str(server["name"] if isinstance(server, dict) else server)


def full(name: str) -> str:
    """The full name of a server or pool."""
    return f"{name}.{DOMAIN}"


def _free_net() -> str:
    """The first three numbers of an address of the loopback that is not in use."""
    while True:
        net = f"127.{1 + secrets.randbelow(250)}.{1 + secrets.randbelow(250)}"
        with socket.socket() as probe:
            if probe.connect_ex((f"{net}.1", SERVER_PORT)) != 0:
                return net


@dataclass
class Fleet:
    """The organisation in *folder*/mgmt and its servers beside it; *tell* hears every command and what it printed."""

    folder: Path
    tell: Tell = lambda _: None
    net: str = field(default_factory=_free_net)
    running: dict[str, subprocess.Popen[bytes] | Forked] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    inside: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what a server's command begins with, if anything

    def __post_init__(self) -> None:
        self.main = self.folder / "mgmt"

    def home(self, server: str) -> Path:
        """The folder of a server."""
        return self.main if server == MGMT else self.folder / server.partition(".")[0]

    # Commands

    def type(
        self, *arguments: object, at: Path | None = None, code: int = 0, typed: str = "", anew: bool = False
    ) -> str:
        """Run a command in the folder of management, or another; raises `MeasurementError` unless it leaves with *code*.

        It runs in a fork of a process that has imported it all; *anew* starts an interpreter, as an operator does.
        """
        where = at or self.main
        words = list(map(str, arguments))
        run = _in_an_interpreter if anew else _in_a_fork
        status, printed = run(words, where, typed)
        self.tell(f"{where.name}$ sipmesh {' '.join(map(_quoted, words))}\n{printed}")
        if status != code:
            raise MeasurementError(f"sipmesh {' '.join(words)} left with {status}:\n{printed}")
        return printed

    def ask(self, server: str, command: str, timeout_s: float = 60.0, **given: Any) -> Any:
        """Ask the control socket of a server."""
        return asyncio.run(ask(self.home(server) / "state" / f"{server}{SOCKET_SUFFIX}", command, timeout_s, **given))

    # Growing

    def begin(self) -> None:
        """Make the organisation: management, and one front end beside it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.type("init", DOMAIN, "--dir", self.main, "--address", f"{self.net}.1", at=self.folder)
        self.addresses[MGMT] = self.addresses[full("fe1")] = f"{self.net}.1"

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the draft, as an operator does with an editor."""
        yaml, file = YAML(), self.main / "topology.yaml"
        document = yaml.load(file)
        change(document)
        with file.open("w") as stream:
            yaml.dump(document, stream)

    def grow(self, pools: tuple[Pool, ...]) -> None:
        """Write pools into the draft; those that are there get the servers that they lack."""

        def change(document: dict[str, Any]) -> None:
            for pool in pools:
                self._grow(document, *pool)

        self.edit(change)

    def _grow(self, document: dict[str, Any], name: str, role: str, servers: tuple[str, ...], next_hop: str) -> None:
        pool = next((one for one in document["pools"] if one["name"] == full(name)), None)
        if pool is None:
            pool = {"name": full(name), "role": role, "servers": []}
            pool |= {"next_hop": full(next_hop), "internal_name": full(f"{name}-int")} if next_hop else {}
            document["pools"].append(pool)
        for one in pool["servers"]:
            one["machine"] = MACHINE
        known = {one["name"] for one in pool["servers"]}
        for server in (full(one) for one in servers):
            if server not in known:
                self.addresses[server] = address = f"{self.net}.{10 + len(self.addresses)}"
                pool["servers"].append({"name": server, "address": address, "machine": MACHINE})

    def join(self, *servers: str) -> None:
        """Bring servers in, by request, grant and acceptance."""
        for server in servers:
            home = self.home(server)
            home.mkdir()
            self.type("join", "request", server, at=home)
            (home / f"{server}.csr").rename(self.main / f"{server}.csr")
            granted = self.type("join", "grant", f"{server}.csr", "--replace")
            (self.main / f"{server}.join").rename(home / f"{server}.join")
            mark = re.search(r"SHA-256\s+((?:[0-9A-F]{2}:?\s*)+)", granted)
            if mark is None:
                raise MeasurementError(f"join grant shows no fingerprint:\n{granted}")
            self.type("join", "accept", f"{server}.join", "--fingerprint", re.sub(r"\s", "", mark.group(1)), at=home)
            self._share_store(server)

    def _share_store(self, server: str) -> None:
        """Let a server keep its registrations in the file of the first server of its pool: all are on this machine."""
        document = YAML().load(self.main / "topology.yaml")
        names = next(
            names for pool in document["pools"] if server in (names := [_name(one) for one in pool["servers"]])
        )
        file = self.home(server) / "state" / "bindings.db"
        if names[0] != server and not file.is_symlink():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.symlink_to(self.home(names[0]) / "state" / "bindings.db")

    def serve(self, *servers: str) -> None:
        """Start servers and wait until each answers."""
        for server in servers:
            home = self.home(server)
            with (home / f"{server}.log").open("ab") as log:
                self.running[server] = self._started(server, home, log)
            self.tell(f"{home.name}$ sipmesh serve {server} &\n")
        for server in servers:
            self._wait_for(server)

    def _started(self, server: str, home: Path, log: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        """Start a server: in a fork, unless its command begins with another one."""
        if server not in self.inside:
            return forkserver.start(("serve", server), log, folder=home, stdin=False, **PLAIN)
        return subprocess.Popen(
            [*self.inside[server], sys.executable, "-m", "sipmesh", "serve", server],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )

    def _wait_for(self, server: str) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                self.ask(server, "status", 1.0)
            except SipmeshError:
                if self.running[server].poll() is not None or time.monotonic() > end:
                    raise MeasurementError(f"{server} does not start:\n{self.log(server)}") from None
                time.sleep(0.05)
            else:
                return

    def log(self, server: str) -> str:
        """What a server has logged."""
        return (self.home(server) / f"{server}.log").read_text()

    def stop(self, *servers: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End servers, all that run by default."""
        ended = [self.running.pop(server) for server in servers or tuple(self.running)]
        for process in ended:
            process.send_signal(number)
        for process in ended:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # Versions

    def publish(self, why: str, wait_s: float = 30.0) -> dict[str, Any]:
        """Publish the draft as `sipmesh topology publish` does, and wait for all servers; *took_s* is how long it took."""
        began = time.monotonic()
        plan = self.ask(MGMT, "plan")
        told = self.ask(MGMT, "publish", why=why, base=plan["base"], digest=plan["digest"])
        answer = self.ask(MGMT, "acknowledged", version=told["version"], wait_s=wait_s)
        return {**told, **answer, "took_s": time.monotonic() - began}

    def acknowledged(self, wait_s: float = 30.0) -> None:
        """Wait until every server has the newest version in force; raises `MeasurementError` where one has not."""
        version = self.ask(MGMT, "network")["version"]
        answer = self.ask(MGMT, "acknowledged", version=version, wait_s=wait_s)
        if answer["missing"]:
            raise MeasurementError(f"version {version} is not in force on {', '.join(answer['missing'])}")

    def reported(self) -> None:
        """Wait until management has the report of each server; raises `MeasurementError` where it has not.

        The version with which a server has joined counts as a report.
        """
        end = time.monotonic() + START_S
        while missing := [one["server"] for one in self.ask(MGMT, "network")["servers"] if not _is_known(one)]:
            if time.monotonic() > end:
                raise MeasurementError(f"no report from {', '.join(missing)}")
            time.sleep(0.1)

    def recovered(self) -> None:
        """Wait until no server has a fault, such as another server that it has not reached again; raises `MeasurementError`."""
        end = time.monotonic() + START_S
        while faulty := [one["server"] for one in self.ask(MGMT, "network")["servers"] if one["faults"]]:
            if time.monotonic() > end:
                raise MeasurementError(f"there are faults of {', '.join(faulty)}")
            time.sleep(0.1)


@contextmanager
def fleet(folder: Path, pools: tuple[Pool, ...], tell: Tell = lambda _: None) -> Iterator[Fleet]:
    """Run an organisation of these pools, every server joined and with the newest version in force."""
    with stopped(Fleet(folder, tell)) as made:
        raise_up(made, pools)
        yield made


@contextmanager
def stopped(made: Fleet) -> Iterator[Fleet]:
    """See that no process is left behind."""
    try:
        yield made
    finally:
        made.stop()


def raise_up(made: Fleet, pools: tuple[Pool, ...]) -> None:
    """Make the organisation and all of its servers, and wait until each has the newest version in force."""
    servers = [full(server) for _, _, servers, _ in pools for server in servers]
    made.begin()
    made.serve(MGMT)
    made.grow(pools)
    made.type("topology", "publish", "-m", "we grow", "--wait", "0")
    made.join(*servers)
    made.serve(*servers)
    made.acknowledged()
    made.reported()


def _in_an_interpreter(words: list[str], where: Path, typed: str) -> tuple[int, str]:
    """Run a command; gives its exit status and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "sipmesh", *words],
        cwd=where,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        check=False,
    )
    return done.returncode, done.stdout


def _in_a_fork(words: list[str], where: Path, typed: str) -> tuple[int, str]:
    """Do the same without the half second of CPU time that the imports take."""
    return forkserver.run(words, where, typed, **PLAIN)


def environment() -> dict[str, str]:
    """The environment of a command that imports what this process imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **PLAIN}


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
