"""An organisation as the commands make it, and a shell to type them in."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from sipmesh.cli.main import main
from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.ports import free_port
from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.storage.users.user_database import Users

DOMAIN = "example.com"
MGMT, FE1, FE2, EDGE = "mgmt.example.com", "fe1.example.com", "fe2.example.com", "edge1.example.com"
START_S = 60.0
PORTS = (
    ("mgmt", "server", 5070),
    ("fe1", "client", 1),
    ("fe1", "server", 2),
    ("fe2", "client", 5063),
    ("fe2", "server", 5064),
    ("edge1", "server", 5066),
    ("edge1", "partner", 5067),
)
"""Each port as the topology has it before it gets a free port."""


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def sipmesh(*arguments: str | Path, typed: str = "", topology: Path | None = None) -> Result:
    """Run one command in this process, with *typed* on its standard input."""
    out, err = io.StringIO(), io.StringIO()
    environment = {"SIPMESH_TOPOLOGY": str(topology)} if topology else {}
    patched = mock.patch.dict(os.environ, environment), mock.patch.object(sys, "stdin", io.StringIO(typed))
    with redirect_stdout(out), redirect_stderr(err), patched[0], patched[1]:
        code = _leave(list(map(str, arguments)))
    return Result(code, out.getvalue(), err.getvalue())


def _leave(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@dataclass
class Organisation:
    """What `sipmesh init` made in *folder*, with ports that were free; *servers* run as processes of their own."""

    folder: Path
    domain: str = DOMAIN
    servers: dict[str, Forked] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def make(
        cls, folder: Path, domain: str = DOMAIN, *, whole: bool = False, port: Callable[[], int] = free_port
    ) -> Organisation:
        """Make *domain* in *folder*; *whole* with a second front end and an edge. *port* gives the ports."""
        made = sipmesh("init", domain, "--dir", folder)
        assert made.code == 0, made.err
        organisation = cls(folder, domain)
        organisation.choose_ports(port, whole=whole)
        assert organisation.type("ca", "issue", "--all").code == 0
        organisation.publish("ports that are free")
        return organisation

    @property
    def file(self) -> Path:
        return self.folder / "topology.yaml"

    @property
    def root(self) -> Path:
        return self.folder / "ca" / "root.pem"

    def copied(self, folder: Path) -> Organisation:
        """Give the same organisation in a folder of its own, on the same ports; only one of the two may run."""
        shutil.copytree(self.folder, folder)
        return Organisation(folder, self.domain, ports=dict(self.ports))

    def choose_ports(self, port: Callable[[], int] = free_port, *, whole: bool) -> None:
        """Edit the topology as an operator would."""
        text = self.file.read_text()
        plain = f"{{name: fe1.{self.domain}, address: 127.0.0.1"
        assert plain in text
        text = text.replace(plain, plain + ", ports: {client: 1, server: 2}")
        if whole:
            text = uncommented(text)
        for host, kind, written in PORTS:
            self.ports[f"{host}.{self.domain} {kind}"] = given = port()
            text = re.sub(rf"{kind}: {written}\b", f"{kind}: {given}", text, count=1)
        self.file.write_text(text)

    def publish(self, why: str) -> Result:
        """Publish the draft as it stands, and wait until all have it."""
        published = self.type("topology", "publish", "-m", why)
        assert published.code == 0, published.out + published.err
        return published

    def address(self, server: str, kind: str = "client") -> str:
        return f"127.0.0.1:{self.ports[f'{server} {kind}']}"

    def type(self, *arguments: str | Path, typed: str = "") -> Result:
        """Run a command on this organisation."""
        return sipmesh(*arguments, typed=typed, topology=self.file)

    def add_user(self, name: str, *options: str) -> None:
        added = self.type("user", "add", name, "--password-stdin", *options, typed=f"{name}-secret\n")
        assert added.code == 0, added.err

    def acting(self, command: str, who: str, *arguments: str | Path) -> Result:
        """Run a client command as *who*, whose password is known here."""
        login = ("--as", f"{who}@{DOMAIN}", "--password-stdin")
        return self.type(command, *login, *arguments, typed=f"{who}-secret\n")

    def serve(self, *names: str) -> None:
        """Start servers, each as the process that an operator would start, and wait until they answer.

        Management is started with the first of them, where this is its machine.
        """
        management = f"mgmt.{self.domain}"
        first = (management,) if self.file.exists() and management in self.file.read_text() else ()
        names = tuple(name for name in dict.fromkeys((*first, *names)) if name not in self.servers)
        for name in names:
            self.servers[name] = self.spawn("serve", name, log=self.folder / f"{name}.log")
        for name in names:
            self.wait_for(name)
        self._wait_for_users(names)

    def _wait_for_users(self, names: Sequence[str]) -> None:
        """Front ends that start for the first time learn of users from management."""
        if f"mgmt.{self.domain}" not in self.servers or not (self.folder / "users.db").exists():
            return
        users = Users(self.folder / "users.db")
        wanted = [name for name in names if name.startswith("fe")] if users.number else []
        users.close()
        ends = time.monotonic() + START_S
        while any(not (self.folder / "state" / f"{name}.users").exists() for name in wanted):
            assert time.monotonic() < ends, "\n".join(log.read_text() for log in self.folder.glob("*.log"))
            time.sleep(0.02)

    def serve_together(self, *names: str) -> None:
        """Start servers in one process, and wait until they answer."""
        process = self.spawn("serve", *names, log=self.folder / f"{names[0]}.log")
        self.servers[names[0]] = process
        for name in names:
            asyncio.run(self._until_ready(name, process))
        self._wait_for_users(names)

    def wait_for(self, name: str, process: Forked | subprocess.Popen[bytes] | None = None) -> None:
        """Wait until a server that was started answers."""
        asyncio.run(self._until_ready(name, process or self.servers[name]))

    def spawn(self, *arguments: str, log: Path) -> Forked:
        """Start a command that stays, with a pipe to its standard input."""
        with log.open("ab") as stream:
            return forkserver.start((*arguments, "--topology", str(self.file)), stream, stdin=True)

    async def _until_ready(self, name: str, process: Forked | subprocess.Popen[bytes]) -> None:
        socket = self.folder / "state" / f"{name}{SOCKET_SUFFIX}"
        async with asyncio.timeout(START_S):
            while True:
                assert process.poll() is None, "\n".join(log.read_text() for log in self.folder.glob("*.log"))
                try:
                    await ask(socket, "status")
                except SipmeshError:
                    await asyncio.sleep(0.02)
                else:
                    return

    def stop(self) -> None:
        """End every server by its pid; each must end in order."""
        for process in self.servers.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.servers.items():
            end(process)
            assert process.returncode == 0, (self.folder / f"{name}.log").read_text()


def environment() -> dict[str, str]:
    """The environment of a process that imports what this one imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def end(process: Forked | subprocess.Popen[bytes]) -> None:
    """Wait for a process that was ordered to end, and close what leads to it."""
    try:
        process.wait(START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def uncommented(text: str) -> str:
    """The topology with every example in it switched on: a ``#`` without a space after it comments YAML, not prose."""
    lines = []
    for line in text.splitlines():
        indent, mark, rest = line.partition("#")
        example = not indent.strip() and mark and (rest[:1] not in {" ", ""} or rest.startswith("  "))
        lines.append(indent + rest if example else line)
    return "\n".join(lines) + "\n"


def until(told: str, log: Path, patience_s: float = START_S) -> None:
    """Wait until a process has written *told* into its *log*."""
    deadline = time.monotonic() + patience_s
    while told not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"{told!r} never came:\n{log.read_text(errors='replace')}"
        time.sleep(0.02)


@contextmanager
def name_server(records: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    """Answer DNS in a thread of its own, since commands run in this one; gives what the topology says of it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(NameServer(records).start(), loop).result()
    try:
        yield server.setting
    finally:
        asyncio.run_coroutine_threadsafe(_closed(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _closed(server: NameServer) -> None:
    """Close the server; its socket goes in the turn after that."""
    server.close()
    await asyncio.sleep(0)
