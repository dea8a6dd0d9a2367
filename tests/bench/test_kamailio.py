"""What sipmesh is compared with does the whole work; and a server that does less of it is found out by the load."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bench.bed import location_store, trunk_tables
from sipmesh.demo.ports import HOST

from .conftest import BENCH, Run, wait_for

pytestmark = pytest.mark.wide

RECORD_ROUTE = 'if (is_method("INVITE")) record_route();'
IN_MEMORY = 'modparam("usrloc", "db_mode", 0)'
ONE_DEVICE = 'modparam("registrar", "append_branches", 0)'


@contextmanager
def serving(folder: Path, pki: Path, ports: dict[str, int], old: str, new: str, *defines: str) -> Iterator[None]:
    """Run Kamailio with one thing changed in its configuration, and with *defines*."""
    config = (BENCH / "kamailio.cfg").read_text()
    assert config.count(old) == 1
    for name in ("kamailio.cfg", "tls.cfg"):
        text = (BENCH / name).read_text().replace(old, new)
        for port, ours in ((5061, ports["client"]), (5071, ports["server"])):
            text = text.replace(f"127.0.76.1:{port}", f"{HOST}:{ours}")
        (folder / name).write_text(text)
    command = shutil.which("kamailio") or "/usr/sbin/kamailio"
    memory = ("-m", 256, "-M", 16)  # its TLS module starts only with some of it free, and 64 MB are too close to that
    defined = [option for define in defines for option in ("-A", define)]
    arguments = (
        *memory,
        *defined,
        "-DD",
        "-E",
        "-f",
        folder / "kamailio.cfg",
        "-w",
        pki,
        "-Y",
        folder,
        "-P",
        folder / "pid",
    )
    with subprocess.Popen([command, *map(str, arguments)], stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(ports["client"])
            yield
        finally:
            process.terminate()


CHALLENGE = 'if (!pv_www_authenticate("a.test", "bench-password", "0"))'
ANOTHER_PASSWORD = CHALLENGE.replace("bench-password", "another")


@pytest.mark.peer("kamailio")
@pytest.mark.parametrize("mode", [(), ("--logins",)], ids=["refreshes", "logins"])
@pytest.mark.parametrize("new", [CHALLENGE, ANOTHER_PASSWORD], ids=["whole", "other-password"])
def test_registration_counts_when_its_credentials_were_right(
    run: Run,
    load: Path,
    pki: Path,
    ports: dict[str, int],
    tmp_path: Path,
    mode: tuple[str, ...],
    new: str,
) -> None:
    to = ("--connect", f"{HOST}:{ports['client']}", "--ca", pki / "ca.pem")
    with serving(tmp_path, pki, ports, CHALLENGE, new):
        ran = run(load, "registers", *to, "--links", 2, "--window", 2, "--seconds", 1, "--warmup", 0, *mode)
    assert (ran.returncode == 0) is (new == CHALLENGE), ran.stdout + ran.stderr


@pytest.mark.peer("kamailio")
def test_kamailio_that_stores_has_written_each_login(
    run: Run, load: Path, pki: Path, ports: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "location.db"
    to = ("--connect", f"{HOST}:{ports['client']}", "--ca", pki / "ca.pem")
    with serving(tmp_path, pki, ports, CHALLENGE, CHALLENGE, *location_store(file)):
        ran = run(load, "registers", *to, "--links", 3, "--window", 2, "--logins")
        with closing(sqlite3.connect(file)) as db:
            users = db.execute("SELECT username FROM location ORDER BY username").fetchall()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert users == [("user0",), ("user1",), ("user2",)]


@pytest.mark.peer("kamailio")
@pytest.mark.parametrize(
    ("old", "new", "status", "found"),
    [
        (RECORD_ROUTE, RECORD_ROUTE, 0, ""),
        (RECORD_ROUTE, "", 1, "without Record-Route"),
        (IN_MEMORY, f"{IN_MEMORY}\n{ONE_DEVICE}", 1, ""),
    ],
    ids=["whole", "no-record-route", "no-fork"],
)
def test_call_counts_when_all_of_it_has_happened(
    run: Run, load: Path, pki: Path, ports: dict[str, int], tmp_path: Path, old: str, new: str, status: int, found: str
) -> None:
    to = ("--connect", f"{HOST}:{ports['client']}", "--ca", pki / "ca.pem")
    with serving(tmp_path, pki, ports, old, new):
        ran = run(load, "calls", *to, "--links", 1, "--window", 1, "--seconds", 1, "--warmup", 0)
    result = json.loads(ran.stdout)
    assert (ran.returncode, result["unanswered"]) == (status, status), result
    assert found in result.get("first_error", "")


ROUTED = 'if (!do_routing("0"))'
ROUTED_ELSEWHERE = ROUTED.replace("0", "1")


@pytest.mark.peer("kamailio")
@pytest.mark.parametrize("new", [ROUTED, ROUTED_ELSEWHERE], ids=["whole", "other-rules"])
def test_call_to_a_trunk_counts_when_drouting_and_dispatcher_have_routed_it(
    run: Run, load: Path, pki: Path, ports: dict[str, int], tmp_path: Path, new: str
) -> None:
    trunk = f"{HOST}:{ports['sink']}"
    of_trunk = ("--sink", trunk, "--sink-certificate", pki / "trunk.pem", "--sink-key", pki / "trunk.key")
    front_end = ("--certificate", pki / "p2.pem", "--key", pki / "p2.key")
    to = ("--connect", f"{HOST}:{ports['server']}", "--ca", pki / "ca.pem", *of_trunk, *front_end)
    with serving(tmp_path, pki, ports, ROUTED, new, *trunk_tables(tmp_path / "trunks.db", trunk)):
        ran = run(load, "calls", *to, "--links", 1, "--window", 1, "--seconds", 1, "--warmup", 0)
    result = json.loads(ran.stdout)
    assert (ran.returncode, result["done"] > 0) == ((0, True) if new == ROUTED else (1, False)), result
