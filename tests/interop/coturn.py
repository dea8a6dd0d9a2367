"""A real coturn with a shared secret, on loopback, and its own client."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.running import LOOK_AGAIN_S

START_S = 20.0
CLIENT_S = 30.0
HOST = "127.0.0.1"
BINDING = bytes.fromhex("0001 0000 2112a442") + bytes(12)
"""A request that each STUN server answers (RFC 8489 section 5)."""


class Coturn:
    """One TURN server, which relays between its own users on loopback, or as *settings* say, the text of its file.

    It has no certificate, so it opens no port for TLS. Releases differ in the options that say so.
    """

    def __init__(self, folder: Path, secret: str, *, realm: str = "example.test", settings: str = "") -> None:
        self.folder, self.port, self._secret, self._realm, self._settings = folder, free_port(), secret, realm, settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir()
        ports = [f"--listening-port={self.port}", "--min-port=20000", "--max-port=29999"]
        place = [f"--listening-ip={HOST}", f"--relay-ip={HOST}"]
        files = [f"--pidfile={self.folder}/pid", f"--userdb={self.folder}/db", "--log-file=stdout", "--simple-log"]
        login = [
            "-n",
            "--no-cli",
            f"--realm={self._realm}",
            "--use-auth-secret",
            f"--static-auth-secret={self._secret}",
        ]
        if self._settings:
            (self.folder / "conf").write_text(self._settings)
        how = ["-c", f"{self.folder}/conf"] if self._settings else [*login, "--allow-loopback-peers"]
        command = ["turnserver", *ports, *place, *files, *how]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
        ends = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > ends:
                raise TimeoutError(self.log)
        return self

    def _answers(self) -> bool:
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(LOOK_AGAIN_S)
            try:
                asking.connect(self.address)
                asking.send(BINDING)
                return bool(asking.recv(1))
            except OSError:
                time.sleep(LOOK_AGAIN_S)
                return False

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        """Its URI for phones (RFC 7065)."""
        return f"turn:{HOST}:{self.port}?transport=udp"

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return HOST, self.port

    @property
    def log(self) -> str:
        """What it has written until now."""
        return (self.folder / "log").read_text(errors="replace")

    def relays_for(self, name: str, password: str) -> bool:
        """Tell whether it relays packets between two sockets of a user."""
        client = ["turnutils_uclient", "-y", "-c", "-n", "1", "-p", str(self.port), "-u", name, "-w", password, HOST]
        done = subprocess.run(client, capture_output=True, text=True, timeout=CLIENT_S, check=False)
        return "Total lost packets 0 " in done.stdout
