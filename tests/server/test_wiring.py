"""A server gets the role for the source of its topology, and imports the modules of no other role."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.world import EDGE, FE1, MGMT, Organisation
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.server.proxy.control_plane import ControlPlane
from support.network import FE1 as FRONT_END
from support.network import Network
from support.running import on_loop
from support.service import service_here
from support.telling import Told

OF_COMMANDS_AND_PAGES = {"aiohttp", "jinja2", "pygments", "structlog"}
OF_A_FIRST_START = {"alembic", "mako"}
OF_OTHER_STORES = {"hiredis", "psycopg"}
OF_MANAGEMENT = {"sipmesh.server.console", "sipmesh.server.management", "sipmesh.server.management_wiring"}
OF_WORKERS = {"sipmesh.server.workers"}


@on_loop
async def test_server_of_a_network_without_management_has_neither_role(home: Network) -> None:
    async with service_here(home.organisations[0], Told(), FRONT_END) as (service, node):
        assert service.control_plane is None
        assert (node.is_managed, type(node.outside.control_plane)) == (False, ControlPlane)


def imported(name: str, organisation: Organisation, folder: Path) -> set[str]:
    """The packages that `sipmesh serve` of one server has imported by the time it answers."""
    command = [sys.executable, "-X", "importtime", "-m", "sipmesh", "serve", name, "--topology", str(organisation.file)]
    log = folder / f"{name}.imports"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, preexec_fn=die_with_parent)  # noqa: PLW1509 - a test has one thread here
    organisation.wait_for(name, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    lines = (line for line in log.read_text().splitlines() if line.startswith("import time:"))
    modules = {line.rpartition("|")[2].strip() for line in lines}
    return modules | {module.rpartition(".")[0] for module in modules}


@pytest.mark.wide
def test_server_imports_the_modules_of_its_own_role_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each process of each server holds what it imports in memory, as long as it runs."""
    folder = tmp_path_factory.mktemp("o")  # short: it is in the path of each control socket
    organisation = Organisation.make(folder / "example.com", whole=True)
    organisation.serve(FE1, EDGE)  # the first start makes the databases
    organisation.stop()
    organisation.servers.clear()
    others = OF_COMMANDS_AND_PAGES | OF_A_FIRST_START | OF_OTHER_STORES | OF_WORKERS
    for name in (FE1, EDGE):
        assert imported(name, organisation, folder) & (others | OF_MANAGEMENT) == set(), name
    of_management = imported(MGMT, organisation, folder)
    assert of_management >= OF_MANAGEMENT
    assert of_management & (OF_WORKERS | {"sipmesh.server.agent_wiring", "sipmesh.server.agent.agent"}) == set()
