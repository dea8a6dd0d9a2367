"""A real rtpengine on loopback, in user space, with its ng protocol on a port of UDP."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.running import LOOK_AGAIN_S

START_S = 20.0
HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 40_000, 49_999
PING = b"started d7:command4:pinge"


class Rtpengine:
    """One rtpengine; *port* is that of its control. It can be killed, and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._asked = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers."""
        media = ["--table=-1", f"--interface={HOST}", f"--port-min={FIRST_PORT}", f"--port-max={LAST_PORT}"]
        control = [f"--listen-ng={HOST}:{self.port}", "--foreground", "--config-file=none", "--num-threads=1"]
        log = ["--log-stderr", "--log-level=6"]
        with (self.folder / "log").open("ab") as out:
            self._process = subprocess.Popen(
                ["rtpengine", *media, *control, *log],
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        ends = time.monotonic() + START_S
        while not self.ask(PING):
            if time.monotonic() > ends:
                raise TimeoutError(self.log)

    def ask(self, datagram: bytes) -> bytes:
        """Send one command as it is; b"" without a reply."""
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(LOOK_AGAIN_S)
            try:
                asking.connect((HOST, self.port))
                asking.send(datagram)
                return asking.recv(65_535)
            except OSError:
                time.sleep(LOOK_AGAIN_S)
                return b""

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it answer nothing for a while."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What it has written until now."""
        return (self.folder / "log").read_text(errors="replace")

    def calls(self) -> int:
        """Count the calls that it has."""
        self._asked += 1  # rtpengine repeats its reply to a command with the same cookie
        return self.ask(b"list%d d7:command4:list5:limiti100ee" % self._asked).count(b":z9hG4bK")
