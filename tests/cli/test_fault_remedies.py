"""The command in a remedy of `sipmesh status`, typed as it is printed, mends a server: revoked, stopped, or never started.

The remedy for a machine that cannot be reached is to put in its cable: that machine is a network namespace.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import EDGE, FE1, FE2, MGMT, START_S, Organisation, Result, sipmesh, uncommented, until
from support.namespaces import Hosts, require_namespaces


def status(organisation: Organisation, code: int) -> Result:
    """Wait until `sipmesh status` ends with *code*."""
    deadline = time.monotonic() + START_S
    while (shown := organisation.type("status")).code != code:
        assert time.monotonic() < deadline, shown.out
        time.sleep(0.05)
    return shown


@pytest.fixture(name="own", scope="module")
def _own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """Two front ends and an edge in one folder; each test leaves them without a fault."""
    made = Organisation.make(tmp_path_factory.mktemp("s") / "s", whole=True)
    try:
        made.serve(FE1, FE2, EDGE)
        yield made
    finally:
        made.stop()


@pytest.mark.wide
@pytest.mark.parametrize("server", [FE2, EDGE])
def test_revoked_server_is_one_fault_at_once_until_it_has_a_new_certificate(own: Organisation, server: str) -> None:
    """Its last report is fresh, and management has no link to the edge: it knows its own CRL."""
    status(own, 0)
    assert own.type("ca", "revoke", server).code == 0
    shown = own.type("status")
    faults = [line for line in shown.out.splitlines() if line.startswith("✗")]
    assert (shown.code, len(faults)) == (1, 1), shown.out
    assert faults[0].startswith(f"✗ {server}: ")
    assert "revoked" in faults[0]
    remedy = re.search(r"→ .*?: sipmesh ([^;]+);", shown.out)
    assert remedy is not None, shown.out
    assert own.type(*shlex.split(remedy[1])).code == 0
    status(own, 0)


@pytest.mark.wide
def test_stopped_server_is_one_fault_until_it_is_started(own: Organisation) -> None:
    status(own, 0)
    process = own.servers.pop(FE2)
    process.terminate()
    process.wait(START_S)
    shown = status(own, 1)
    faults = [line for line in shown.out.splitlines() if line.startswith("✗")]
    assert len(faults) == 1, shown.out
    assert faults[0].startswith(f"✗ {FE2}: ")
    assert MGMT in faults[0]
    assert f"sipmesh serve {FE2}" in shown.out
    own.serve(FE2)
    status(own, 0)


@pytest.mark.wide
def test_server_that_was_never_started_is_one_fault_until_it_is_started(organisation: Organisation) -> None:
    organisation.serve()
    shown = status(organisation, 1)
    faults = [line for line in shown.out.splitlines() if line.startswith("✗")]
    assert len(faults) == 1, shown.out
    assert faults[0].startswith(f"✗ {FE1}: ")
    told = organisation.type("status", "--json").json
    assert "not-started" in str(told)
    assert f"start it: sipmesh serve {FE1}" in shown.out
    organisation.serve(FE1)
    status(organisation, 0)


@pytest.mark.wide
def test_machine_that_cannot_be_reached_is_one_fault_until_its_cable_is_in_again(tmp_path: Path) -> None:
    """The server runs on all the time: only the network has failed."""
    require_namespaces()
    addresses = {"host 1": "192.0.2.10", "host 2": "192.0.2.11"}
    with Hosts(tmp_path, addresses) as hosts:
        here, there = hosts["host 1"], hosts["host 2"]
        here.folder = there.folder = tmp_path / "o"
        assert sipmesh("init", "example.com", "--dir", here.folder).code == 0
        topology = here.folder / "topology.yaml"
        text = uncommented(topology.read_text()).replace("127.0.0.1", addresses["host 1"])
        plain = f"{{name: {EDGE}, address: "
        assert plain + addresses["host 1"] in text
        topology.write_text(text.replace(plain + addresses["host 1"], plain + addresses["host 2"]))
        organisation = Organisation(here.folder)
        assert organisation.type("ca", "issue", "--all").code == 0
        organisation.publish("two hosts")
        for host, name in ((here, MGMT), (here, FE1), (here, FE2), (there, EDGE)):
            log = tmp_path / f"{name}.log"
            host.start("sipmesh", "serve", name, log=log)
            until("serving", log)
        here.until_no_fault()
        there.cut_off()
        ends = time.monotonic() + 2 * START_S
        while "no-route" not in (told := here.type("sipmesh", "status", "--json").out):
            assert time.monotonic() < ends, told
            time.sleep(0.25)
        shown = here.type("sipmesh", "status")
        faults = [line for line in shown.out.splitlines() if line.startswith("✗")]
        assert (shown.code, len(faults)) == (1, 1), shown.out
        assert faults[0].startswith(f"✗ {EDGE}: ")
        assert f"check that the machine of {EDGE} is on" in " ".join(shown.out.split()), shown.out
        there.power_on()
        here.until_no_fault()
