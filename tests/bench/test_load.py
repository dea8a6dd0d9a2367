"""The load generator against a real server: each mode finishes what it began, and sees what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.ports import HOST, free_port

from .conftest import BENCH, SOURCES, Ran, Run, wait_for

pytestmark = pytest.mark.wide

SHORT = ("--seconds", 1, "--warmup", 0, "--hold", 0)
USERS = ("--links", 4, "--window", 8)


@pytest.fixture(name="server", scope="module")
def _server(where: list[object], ports: dict[str, int]) -> Iterator[int]:
    """The server under test, started as the measurements start it; gives its process id."""
    with served(*where) as process:
        wait_for(ports["server"])
        yield process.pid


@contextmanager
def served(*where: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start what `bench/sut` starts, and end it."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "SIPMESH_PYTHON": sys.executable}
    process = subprocess.Popen(list(map(str, [BENCH / "sut", *where])), env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(name="loaded")
def _loaded(run: Run, load: Path, pki: Path, ports: dict[str, int], server: int) -> Loaded:
    return Loaded(run, load, pki, ports, server)


class Loaded:
    """A server and the load generator."""

    def __init__(self, run: Run, load: Path, pki: Path, ports: dict[str, int], server: int) -> None:
        self.run, self.load, self.pki, self.ports, self.server = run, load, pki, ports, server

    def ran(self, mode: str, *options: object, port: str = "client") -> Ran:
        to = f"{HOST}:{self.ports[port]}"
        return self.run(self.load, mode, "--connect", to, "--ca", self.pki / "ca.pem", "--pid", self.server, *options)

    def sound(self, mode: str, *options: object, port: str = "client") -> dict[str, Any]:
        """The result of a run in which nothing was wrong."""
        ran = self.ran(mode, *options, *SHORT, port=port)
        assert ran.returncode == 0, ran
        result: dict[str, Any] = json.loads(ran.stdout)
        assert (result["errors"], result["unanswered"]) == (0, 0)
        return result

    @property
    def sink(self) -> tuple[object, ...]:
        credentials = ("--sink-certificate", self.pki / "sink.pem", "--sink-key", self.pki / "sink.key")
        return ("--sink", f"{HOST}:{self.ports['sink']}", *credentials)

    def credentials(self, name: str) -> tuple[object, ...]:
        return ("--certificate", self.pki / f"{name}.pem", "--key", self.pki / f"{name}.key")


def test_users_send_to_a_server(loaded: Loaded) -> None:
    result = loaded.sound("messages", *loaded.sink, *USERS, "--body", 500, "--headers", 5)
    assert result["done"] > 0
    assert result["message_bytes"] > 500
    assert result["server_us"] > 0


def test_requests_on_a_clock_are_at_most_as_many_as_asked(loaded: Loaded) -> None:
    """A busy machine sends fewer."""
    result = loaded.sound("messages", *loaded.sink, *USERS, "--rate", 100)
    assert 0 < result["done"] <= 110
    assert result["p50_ms"] <= result["p99_ms"]


def test_users_send_to_users(loaded: Loaded) -> None:
    assert loaded.sound("messages", "--users", *USERS)["done"] > 0


def test_messages_cross_two_front_ends(run: Run, load: Path, pki: Path, where: list[object], tmp_path: Path) -> None:
    """Every other user is at home at the second front end, and is sent messages by users of the first, and the reverse."""
    client, server, second = free_port(HOST), free_port(HOST), "127.0.0.4"
    here = ("--run", tmp_path, "--client-port", client, "--server-port", server, "--second-host", second)
    with served(*where, *here) as process:
        wait_for(client)
        wait_for(client, second)
        to = ("--connect", f"{HOST}:{client}", "--second", f"{second}:{client}", "--name", "a.test")
        options = ("--ca", pki / "ca.pem", "--pid", process.pid, "--users", *USERS, *SHORT)
        ran = run(load, "messages", *to, *options)
        one_way = run(load, "messages", *to, *options, "--one-way")
    for each in (ran, one_way):
        assert each.returncode == 0, each
        assert json.loads(each.stdout)["done"] > 0


def test_trusted_server_sends_for_users(loaded: Loaded) -> None:
    """Its From is a user of ours, whom it may speak for."""
    sent = loaded.sound("messages", *loaded.sink, *USERS, *loaded.credentials("peer"), port="server")
    assert sent["done"] > 0


def test_calls_are_forked_answered_and_ended(loaded: Loaded) -> None:
    result = loaded.sound("calls", "--links", 2, "--window", 4)
    assert result["done"] > 0
    assert result["answer_p50_ms"] < result["p50_ms"]


def test_calls_pass_a_gateway_to_a_trunk(run: Run, load: Path, pki: Path, where: list[object], tmp_path: Path) -> None:
    ports = {name: free_port(HOST) for name in ("server", "sink")}
    of_gateway = ("--run", tmp_path, "--server-port", ports["server"], "--sink-port", ports["sink"])
    with served(*where, *of_gateway, "--gateway") as process:
        wait_for(ports["server"])
        loaded = Loaded(run, load, pki, ports, process.pid)
        trunk = (
            "--sink",
            f"{HOST}:{ports['sink']}",
            "--sink-certificate",
            pki / "trunk.pem",
            "--sink-key",
            pki / "trunk.key",
        )
        result = loaded.sound("calls", *trunk, *loaded.credentials("p2"), "--links", 2, "--window", 4, port="server")
    assert result["done"] > 0


def test_handshakes_count_when_the_server_has_answered(loaded: Loaded) -> None:
    assert loaded.sound("handshakes", *loaded.credentials("peer"), "--links", 2, port="server")["done"] > 0


def test_refused_handshakes_do_not_count(loaded: Loaded) -> None:
    refused = loaded.ran("handshakes", *loaded.credentials("rogue"), "--links", 1, *SHORT, port="server")
    result = json.loads(refused.stdout)
    assert refused.returncode == 1
    assert result["done"] == 0
    assert "alert unknown ca" in result["first_error"]


def test_idle_links_stay(loaded: Loaded) -> None:
    result = loaded.sound("idle", "--links", 20, "--sources", 4)
    assert result["dropped"] == 0
    assert result["loaded_kib"] > 0


def test_phones_of_a_storm_log_in_and_none_is_reset(loaded: Loaded) -> None:
    result = loaded.sound("storm", "--links", 8, "--sources", 2)
    assert (result["logged_in"], result["resets"]) == (8, 0)


def test_open_loop_below_capacity_is_answered_in_time(loaded: Loaded) -> None:
    result = loaded.sound("overload", *loaded.sink, *USERS, "--rate", 50)
    assert (result["refused_per_s"], result["lost_per_s"]) == (0, 0)
    assert result["in_time_per_s"] > 0


def test_floor_shakes_hands(loaded: Loaded) -> None:
    at = f"{HOST}:{loaded.ports['floor']}"
    ca = ("--ca", loaded.pki / "ca.pem")
    command = [loaded.load, "floor", "--listen", at, *ca, *loaded.credentials("p1"), "--seconds", 20]
    with subprocess.Popen(list(map(str, command))) as floor:
        wait_for(loaded.ports["floor"])
        assert loaded.sound("handshakes", *loaded.credentials("peer"), "--links", 2, port="floor")["done"] > 0
        floor.terminate()


def test_only_loopback_is_loaded(run: Run, load: Path, pki: Path) -> None:
    refused = run(load, "idle", "--connect", "192.0.2.1:5061", "--ca", pki / "ca.pem")
    assert refused.returncode == 2
    assert "192.0.2.1 is not loopback" in refused.stderr
