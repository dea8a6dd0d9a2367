"""`sipmesh ca inventory`: with the CA's folder and without, at rest and beside servers that run."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.world import EDGE, FE1, FE2, MGMT, Organisation
from sipmesh.cli.ca.inventory import FINE, URGENT
from sipmesh.cli.place import Place
from sipmesh.server.control_socket import ControlSocket
from support.telling import Told


def entries(organisation: Organisation, what: str = "server") -> dict[str, dict[str, Any]]:
    told = organisation.type("ca", "inventory", "--json").json
    return {one["name"]: one for one in told["entries"] if one["what"] == what}


@pytest.mark.parametrize(("days", "code"), [("30", FINE), ("8", FINE), ("7", URGENT), ("1", URGENT)])
def test_exit_code_tells_whether_something_is_within_a_week(organisation: Organisation, days: str, code: int) -> None:
    organisation.type("ca", "issue", FE1, "--days", days)
    told = organisation.type("ca", "inventory")
    assert told.code == code
    assert organisation.type("ca", "inventory", "--json").code == code
    assert (f"to renew it: sipmesh ca issue {FE1}" in told.out) is (code == URGENT)


def test_server_with_its_key_elsewhere_gets_no_advice_to_issue_one_here(organisation: Organisation) -> None:
    """`ca issue` would refuse: it renews itself, or joins again."""
    organisation.type("ca", "issue", FE1, "--days", "2")
    for file in (organisation.folder / "servers").glob(f"{FE1}.*"):
        file.unlink()
    told = organisation.type("ca", "inventory")
    assert told.code == URGENT
    assert f"sipmesh join request {FE1}" in told.out
    assert f"sipmesh ca issue {FE1}" not in told.out


def test_everything_is_reported_with_what_stops(organisation: Organisation) -> None:
    out = organisation.type("ca", "inventory").out
    for told in (
        "phones and servers refuse it",
        "issuing CA",
        "root",
        "CRL",
        "If the CA renews nothing any more",
    ):
        assert told in out


@pytest.mark.wide
def test_running_servers_report_what_they_use(running: Organisation) -> None:
    told = entries(running)
    assert set(told) == {MGMT, FE1, FE2, EDGE}
    for one in told.values():
        assert one["in_use"] == one["on_disk"] is not None
        assert one["note"] == ""
    assert all(one["in_use"] for one in entries(running, "CRL").values())
    assert all(one["in_use"] for one in entries(running, "issuing CA").values())


def test_it_works_where_the_ca_is_not(organisation: Organisation, tmp_path: Path) -> None:
    """Another machine of the network has the topology, the root, the lists, and its own certificate."""
    shutil.move(organisation.folder / "ca", tmp_path / "ca")
    (organisation.folder / "ca").mkdir()
    for name in ("root.pem", "root.crl", "issuing.crl", "devices.crl"):
        shutil.copy(tmp_path / "ca" / name, organisation.folder / "ca")
    assert entries(organisation)[FE1]["on_disk"]
    assert organisation.type("ca", "inventory").code == FINE
    (organisation.folder / "servers" / f"{FE1}.pem").unlink()
    assert entries(organisation)[FE1]["note"] == "unknown: its file is on another machine"
    assert "not known" in organisation.type("ca", "inventory").out


def test_ca_knows_what_it_has_issued_for_servers_on_other_machines(organisation: Organisation) -> None:
    before = entries(organisation)[FE1]["on_disk"]
    (organisation.folder / "servers" / f"{FE1}.pem").unlink()
    assert entries(organisation)[FE1]["on_disk"] == before


def test_revoked_certificate_is_an_alarm(organisation: Organisation) -> None:
    organisation.type("ca", "revoke", FE1)
    told = organisation.type("ca", "inventory")
    assert told.code == URGENT
    assert f"{FE1}: it is revoked, and peers refuse it; sipmesh ca issue {FE1}" in told.out
    organisation.type("ca", "issue", FE1)
    assert organisation.type("ca", "inventory").code == FINE


def test_rotation_that_was_refused_is_reported_with_its_reason_and_a_good_one_is_accepted(
    organisation: Organisation,
) -> None:
    """The certificate on disk has ended: the server continues with the one it has, and says so."""
    organisation.serve(FE1)
    in_use = entries(organisation)[FE1]["in_use"]
    place = Place(organisation.file)
    names = ("fe1.example.com", "pool1.example.com", "example.com")
    role = place.load().topology.pools[0].role
    ended = place.ca().issue(names, role, datetime.now(UTC) - timedelta(minutes=4), timedelta(minutes=1))
    servers = organisation.folder / "servers"
    ended.write(servers / f"{FE1}.pem", servers / f"{FE1}.key")
    kept = organisation.type("ca", "crl")
    assert f"NOT in force on {FE1}: the server keeps its old certificate: expired" in kept.out
    told = entries(organisation)[FE1]
    assert told["in_use"] == in_use != told["on_disk"]
    assert told["note"].startswith("the certificate on disk is not in use: expired")
    assert "not in use: expired" in organisation.type("ca", "inventory").out
    organisation.type("ca", "issue", FE1)
    told = entries(organisation)[FE1]
    assert told["in_use"] == told["on_disk"] != in_use
    assert told["note"] == ""


def test_server_of_another_version_is_reported_and_left_out(organisation: Organisation) -> None:
    """It answers, but does not say what it uses."""
    with answering(organisation.folder / "state", {"server": FE1, "pid": 1}):
        told = organisation.type("ca", "inventory", "--json")
    assert (
        f"{FE1} does not report the certificates that it uses: the reply of {FE1} to 'status' cannot be read (role: is "
        "missing); run the same release of sipmesh on the server and here"
    ) in told.err
    assert told.code == FINE
    assert {one["in_use"] for one in told.json["entries"]} == {None}


@contextmanager
def answering(state: Path, status: dict[str, Any]) -> Iterator[None]:
    """A control socket that knows one answer, in a thread of its own since commands run in this one."""

    async def answer(_asked: Mapping[str, Any]) -> dict[str, Any]:
        return status

    state.mkdir(exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    control = ControlSocket(state / f"{FE1}.sock", {"status": answer}, Told().log)
    try:
        asyncio.run_coroutine_threadsafe(control.open(), loop).result()
        yield
    finally:
        asyncio.run_coroutine_threadsafe(control.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
