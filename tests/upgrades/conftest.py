"""Folders that earlier releases have left behind, on ports that are free."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.world import FE1, START_S, Organisation
from sipmesh.demo.ports import free_port
from upgrades.recorded_folder import recorded

RELEASES = ("3f4f5b6", "0.1.0")

LISTED_UNTIL = datetime(2027, 10, 1, tzinfo=UTC)
"""A CRL has no certificate that has expired: from then on it is refused for that."""


@pytest.fixture(name="release", params=RELEASES)
def _release(request: pytest.FixtureRequest) -> str:
    """The release that has left the folder behind."""
    return str(request.param)


@pytest.fixture(name="left_behind")
def _left_behind(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """The folder of *release*, on ports that are free. Its certificates and CRLs have expired, as after a long time off."""
    folder = tmp_path_factory.mktemp("u")  # short: the path of a control socket has 107 octets at most
    recorded(release, folder)
    _keep_messages(folder / "state" / "messages.db")
    organisation = Organisation(folder)
    organisation.choose_ports(free_port, whole=False)
    yield organisation
    organisation.stop()


def _keep_messages(file: Path) -> None:
    """Stored messages end after days: those of the folder end in an hour."""
    if file.exists():
        with closing(sqlite3.connect(file)) as db, db:
            db.execute("UPDATE stored_messages SET expires = ?", (time.time() + 3600,))


def follow_the_page(organisation: Organisation) -> None:
    """Type what docs/howto/upgrade.md says for a folder whose servers were off for long, and publish the ports."""
    for words in (("ca", "crl"), ("ca", "issue", "--all"), ("topology", "publish", "-m", "ports that are free")):
        typed = organisation.type(*words)
        assert typed.code == 0, typed.out + typed.err


def password(name: str) -> str:
    """Each user of a recorded folder has its name as its password."""
    return f"{name}\n"


def at(organisation: Organisation, server: str = FE1) -> tuple[str, str]:
    """The option that names *server*."""
    return "--server", organisation.address(server)


def until_good(organisation: Organisation) -> dict[str, Any]:
    """Wait until `sipmesh status` finds no fault; returns what it says."""
    ends = time.monotonic() + START_S
    while (said := organisation.type("status", "--json")).code:
        assert time.monotonic() < ends, said.out + said.err
        time.sleep(0.05)
    found: dict[str, Any] = said.json
    return found


def until_told(organisation: Organisation, fault: str) -> None:
    """Wait until `sipmesh status` tells a fault."""
    ends = time.monotonic() + START_S
    while fault not in (said := organisation.type("status")).out:
        assert time.monotonic() < ends, said.out + said.err
        time.sleep(0.05)
