"""A server imports what its role uses: what it imports stays in memory as long as it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.tiers import wide_after

ABSENT = {
    "front end or edge": (
        ("sipmesh.server.service", "sipmesh.server.agent_wiring"),
        ("sqlalchemy", "alembic", "aiohttp", "jinja2", "typer", "rich", "sipmesh.demo", "sipmesh.pki.authority"),
    ),
    "worker": (
        ("sipmesh.server.worker",),
        ("sqlalchemy", "alembic", "aiohttp", "jinja2", "typer", "rich", "sipmesh.demo", "sipmesh.server.agent.agent"),
    ),
    "management, with its console": (
        ("sipmesh.server.service", "sipmesh.server.management_wiring"),
        ("alembic", "typer", "rich", "sipmesh.demo"),
    ),
    "each role": (
        ("sipmesh.server.service", "sipmesh.server.management_wiring", "sipmesh.server.agent_wiring"),
        ("sipmesh.topology.builder.importing", "sipmesh.demo"),
    ),
}
PRINTS = """
import sys
from importlib import import_module
for name in sys.argv[1].split():
    import_module(name)
print(*sorted(set(sys.argv[2].split()) & sys.modules.keys()))
"""


@pytest.mark.parametrize("role", wide_after(1, ABSENT))
def test_role_does_not_import_what_it_does_not_use(role: str) -> None:
    imported, absent = (" ".join(names) for names in ABSENT[role])
    done = subprocess.run([sys.executable, "-c", PRINTS, imported, absent], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", ["sqlalchemy", "sipmesh.pki.authority"])
def test_list_of_absent_modules_names_modules_that_exist(name: str) -> None:
    """The control: management has a store and a CA, and imports these modules."""
    made = "sipmesh.storage.management_db sipmesh.pki.authority"
    done = subprocess.run(
        [sys.executable, "-c", PRINTS, f"{made} {name}", name], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [name]
