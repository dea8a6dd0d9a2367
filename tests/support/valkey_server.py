"""Real Valkey servers for tests, on ports and in folders of their own, which a test may stop, hang and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import hiredis

from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.running import LOOK_AGAIN_S

START_S = 20.0
PROGRAM = "valkey-server"


class ValkeyServer:
    """One server without a file of its data: what it had is gone after `kill`. *settings* are those of its configuration."""

    def __init__(self, folder: Path, *settings: str, port: int | None = None, tls: bool = False) -> None:
        self.folder, self.port, self._settings, self.tls = folder, port or free_port(), settings, tls
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<ValkeyServer on {self.port}, {'up' if self._process else 'down'}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        ports = ("--tls-port", str(self.port), "--port", "0") if self.tls else ("--port", str(self.port))
        command = [PROGRAM, *ports, "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        command += ["--appendonly", "no", "--loglevel", "warning", *self._settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
        self.until_open()

    def until_open(self) -> None:
        """Wait until the port accepts."""
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(LOOK_AGAIN_S)
        raise TimeoutError(f"{self!r}: {(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """End it, with all that it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop its process: the kernel goes on to accept connections for it."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def ask(self, *words: str | int | bytes) -> object:
        """Send a command as any client could; errors are raised."""
        with StoreClient(self.port) as client:
            reply = client.ask(*words)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def client(self, user: str, password: str) -> StoreClient:
        """A client that has logged in."""
        client = StoreClient(self.port)
        hello = client.ask("HELLO", "3", "AUTH", user, password)
        assert isinstance(hello, dict), hello
        return client


class StoreClient:
    """A connection of any client; *pushes* are what the store has sent without a question (RESP3)."""

    def __init__(self, port: int) -> None:
        self._raw = socket.create_connection(("127.0.0.1", port), START_S)
        self._reader = hiredis.Reader(notEnoughData=...)
        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self.pushes: list[Sequence[Any]] = []

    def __repr__(self) -> str:
        return f"<StoreClient {len(self.pushes)} pushes>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def ask(self, *words: str | int | bytes) -> object:
        """Send a command and give its reply; an error is given, not raised."""
        self._raw.sendall(self._pack(words))
        while isinstance(reply := self._next(), hiredis.PushNotification):
            self.pushes.append(reply)
        return reply

    def _next(self) -> object:
        while (reply := self._reader.gets()) is ...:
            octets = self._raw.recv(65_536)
            if not octets:
                raise ConnectionError("closed")
            self._reader.feed(octets)
        return reply


class Sentinel(ValkeyServer):
    """A Sentinel that watches a primary as *name*, and lets another node take over after *down_ms*."""

    def __init__(self, folder: Path, primary: ValkeyServer, name: str, down_ms: int = 300) -> None:
        super().__init__(folder)
        self._primary, self._name, self._down_ms = primary, name, down_ms

    def start(self) -> None:
        """Start it with a file of its configuration, which it writes itself later."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {self._name} 127.0.0.1 {self._primary.port} 1\n"
            f"sentinel down-after-milliseconds {self._name} {self._down_ms}\n"
            f"sentinel failover-timeout {self._name} 5000\n"
        )
        with (self.folder / "log").open("ab") as log:
            command = [PROGRAM, str(file), "--sentinel"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
        self.until_open()
