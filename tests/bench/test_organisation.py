"""What is measured is a network as an operator would run it: its document is in order, and its judge judges."""

import json
import ssl
import sys
from pathlib import Path

import pytest

from sipmesh.demo import forkserver
from sipmesh.demo.ports import HOST
from sipmesh.server.running.running_server import RunningServer
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import load
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.telling import Told

from .conftest import BENCH, Run

pytestmark = pytest.mark.wide


def credentials(pki: Path, name: str) -> tuple[Path, Path]:
    return pki / f"{name}.pem", pki / f"{name}.key"


async def say_options(port: int, shown: tuple[Path, Path]) -> int:
    """Connect as a server and ask one question."""
    async with await Peer.open((HOST, port), "user0@a.test", shown) as peer:
        return (await peer.ask(peer.request("OPTIONS", "sip:p1.a.test"))).status


def checked(topology: Path) -> object:
    """What `sipmesh topology check` finds, without the list of what crosses a machine's border."""
    _, printed = forkserver.run(("topology", "check", "--json", "--topology", str(topology)), topology.parent, "")
    return {key: value for key, value in json.loads(printed).items() if key != "crossings"}


def test_topology_is_in_order(topology: Path) -> None:
    assert checked(topology) == {"ok": True, "problems": [], "warnings": []}


def test_large_topology_is_in_order(run: Run, where: list[object], tmp_path: Path) -> None:
    size = ("--servers", 3, "--partners", 3, "--bindings", 5)
    assert run(sys.executable, BENCH / "organisation.py", *where, "--run", tmp_path, *size).returncode == 0
    assert checked(tmp_path / "sipmesh" / "topology.yaml") == {"ok": True, "problems": [], "warnings": []}


def test_topology_with_two_front_ends_is_in_order(run: Run, where: list[object], tmp_path: Path) -> None:
    made = run(sys.executable, BENCH / "organisation.py", *where, "--run", tmp_path, "--second-host", "127.0.0.4")
    assert made.returncode == 0, made.stderr
    assert checked(tmp_path / "sipmesh" / "topology.yaml") == {"ok": True, "problems": [], "warnings": []}


def test_each_user_has_rules(run: Run, where: list[object], tmp_path: Path) -> None:
    made = run(sys.executable, BENCH / "organisation.py", *where, "--run", tmp_path, "--users", 3, "--rules")
    assert made.returncode == 0, made.stderr
    users = Users(load(tmp_path / "sipmesh" / "topology.yaml").users_url)
    assert [one.calls.no_answer for one in users.list()] == [f"sip:user{number}@a.test" for number in (1, 2, 0)]
    users.close()


def test_topology_with_a_gateway_is_in_order(run: Run, where: list[object], tmp_path: Path) -> None:
    made = run(sys.executable, BENCH / "organisation.py", *where, "--run", tmp_path, "--gateway")
    assert made.returncode == 0, made.stderr
    assert checked(tmp_path / "sipmesh" / "topology.yaml") == {"ok": True, "problems": [], "warnings": []}


@on_loop
async def test_trusted_server_is_served(topology: Path, pki: Path, ports: dict[str, int]) -> None:
    node = RunningServer(topology, "p1.a.test", Told().log)
    node.start()
    assert await say_options(ports["server"], credentials(pki, "peer")) == 200
    await node.drain()


@on_loop
async def test_stranger_of_a_trusted_name_is_refused(topology: Path, pki: Path, ports: dict[str, int]) -> None:
    """The name is that of peer.b.test, the CA is not ours: the measurements are made with the judge awake."""
    told = Told()
    node = RunningServer(topology, "p1.a.test", told.log)
    node.start()
    with pytest.raises((HungUpError, ssl.SSLError, ConnectionError)):
        await say_options(ports["server"], credentials(pki, "rogue"))
    assert told.last("link refused")["code"] == "untrusted-issuer"
    await node.drain()


def test_server_has_the_workers_that_are_asked_for(run: Run, where: list[object], tmp_path: Path) -> None:
    made = run(sys.executable, BENCH / "organisation.py", *where, "--run", tmp_path, "--workers", 2)
    assert made.returncode == 0, made.stderr
    assert "workers: 2" in (tmp_path / "sipmesh" / "topology.yaml").read_text()


def test_tls12_is_taken(run: Run, where: list[object], tmp_path: Path) -> None:
    """The server speaks both versions in any case; who measures says which."""
    made = run(sys.executable, BENCH / "organisation.py", *where, "--run", tmp_path, "--tls12", "--workers", 1)
    assert made.returncode == 0, made.stderr
