"""Hosts on one machine: network namespaces with a switch between them, and a name server that all of them ask.

Nothing outside is reached: the switch is in a namespace of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import pytest

from cli.world import START_S, Result, environment

SWITCH: Final = "192.0.2.1"
SERVED: Final = """
import asyncio, json, sys
from sipmesh.demo.nameserver import NameServer
records = {tuple(key.split()): data for key, data in json.loads(sys.argv[1]).items()}
async def main():
    await NameServer(records).start("192.0.2.1", 53)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
STOP_S: Final = 30


def require_namespaces() -> None:
    """Skip a test where this user may make no network namespaces; in CI that is a failure, as a missing peer is."""
    name = f"sipmesh-{os.getpid()}-try"
    made = subprocess.run(("ip", "netns", "add", name), capture_output=True, check=False).returncode == 0
    if made:
        _ip("netns", "del", name)
        return
    reason = "this test needs network namespaces (ip netns add)"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)


@dataclass
class Host:
    """One host: its network namespace *name*, its *address*, its *resolver*, and the *folder* in which commands are typed.

    *files* are further files of the system that it has in place of those of this machine, which have to be there.
    """

    name: str
    address: str
    folder: Path
    resolver: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)

    def type(self, *words: str, typed: str = "") -> Result:
        """Type a command, and wait for its end."""
        done = subprocess.run(
            self.inside(words),
            cwd=self.folder,
            env=environment(),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, log: Path, typed: str = "") -> subprocess.Popen[bytes]:
        """Start a command that stays, and writes to *log*."""
        with log.open("ab") as stream:
            process = subprocess.Popen(
                self.inside(words),
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
            )
        assert process.stdin is not None
        with process.stdin as keyboard:
            keyboard.write(typed.encode())
        self.running.append(process)
        return process

    def power_off(self) -> str:
        """Kill all that runs here, and pull the cable, as a loss of power does."""
        self.cut_off()
        for process in self.running:
            process.kill()
            process.wait()
        self.running.clear()
        return ""

    def cut_off(self) -> None:
        """Pull the cable; what runs here runs on."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def power_on(self) -> None:
        """Put the cable in again; nothing is started."""
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def until_no_fault(self) -> None:
        """Wait until `sipmesh status`, typed here, finds no fault."""
        ends = time.monotonic() + START_S
        while (said := self.type("sipmesh", "status")).code:
            assert time.monotonic() < ends, said.out + said.err
            time.sleep(0.1)

    def inside(self, words: Sequence[str]) -> Sequence[str]:
        """Give the arguments that run a command on this host, with the name server of the switch and its own *files*."""
        files = {"/etc/resolv.conf": self.resolver, **self.files}
        script = "".join(f"mount --bind {file} {path} && " for path, file in files.items()) + 'exec "$@"'
        command = (sys.executable, "-m", "sipmesh", *words[1:]) if "sipmesh" in words[:1] else words
        return ("ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-c", script, "sh", *command)


class Hosts:
    """Hosts with these addresses in 192.0.2.0/24, each with a folder below *folder*."""

    def __init__(self, folder: Path, addresses: Mapping[str, str]) -> None:
        self._label = f"sm{os.getpid()}"
        self._switch = f"sipmesh-{os.getpid()}-switch"
        self.hosts = {
            name: Host(f"sipmesh-{os.getpid()}-{number}", address, folder / name, folder / "resolv.conf")
            for number, (name, address) in enumerate(addresses.items())
        }
        self._folder = folder
        self._name_server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        (self._folder / "resolv.conf").write_text(f"nameserver {SWITCH}\noptions timeout:1 attempts:1\n")
        _ip("netns", "add", self._switch)
        self._inside("link", "add", "br0", "type", "bridge")
        self._inside("addr", "add", f"{SWITCH}/24", "dev", "br0")
        for device in ("lo", "br0"):
            self._inside("link", "set", device, "up")
        for number, host in enumerate(self.hosts.values()):
            self._plug_in(host, f"{self._label}-{number}")
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            for process in host.running:
                process.terminate()
                process.wait(STOP_S)
        self._stop_name_server()
        for name in (*(host.name for host in self.hosts.values()), self._switch):
            subprocess.run(("ip", "netns", "del", name), capture_output=True, check=False)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def _inside(self, *words: str) -> None:
        _ip("-n", self._switch, *words)

    def _plug_in(self, host: Host, cable: str) -> None:
        host.folder.mkdir()
        _ip("netns", "add", host.name)
        self._inside("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        self._inside("link", "set", cable, "master", "br0", "up")
        _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", host.name, "link", "set", device, "up")

    def has_public(self, name: str, address: str) -> None:
        """Give a host a further address, outside of 192.0.2.0/24, and each other host the route."""
        for other, host in self.hosts.items():
            what = ("addr", "add", f"{address}/32") if other == name else ("route", "add", address)
            _ip("-n", host.name, *what, "dev", "eth0")

    def serve_names(self, records: Mapping[tuple[str, str], Sequence[str]]) -> None:
        """Answer all DNS questions of the hosts from *records*, as their zone."""
        self._stop_name_server()
        given = json.dumps({f"{name} {kind}": list(data) for (name, kind), data in records.items()})
        command = ("ip", "netns", "exec", self._switch, sys.executable, "-c", SERVED, given)
        self._name_server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
        assert self._name_server.stdout is not None
        assert self._name_server.stdout.readline() == b"ready\n"

    def _stop_name_server(self) -> None:
        if self._name_server is not None:
            self._name_server.terminate()
            self._name_server.wait()
            if self._name_server.stdout is not None:
                self._name_server.stdout.close()
            self._name_server = None
