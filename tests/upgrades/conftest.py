"""Folders that earlier releases have left behind, on ports that are free."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.world import FE1, FE2, START_S, Organisation, Result, until
from sipmesh.demo.ports import free_port
from support.tiers import wide_unless
from upgrades.earlier_release import EarlierRelease, is_in_clone
from upgrades.recorded_folder import BEFORE, PASSWORDS, RELEASES, commit_of, recorded

LISTED_UNTIL = datetime(2027, 10, 1, tzinfo=UTC)
"""A CRL has no certificate that has expired: from then on it is refused for that."""


@pytest.fixture(name="release", params=wide_unless(lambda name: name == BEFORE, RELEASES))
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


def taken(release: str, folder: Path) -> EarlierRelease:
    """Take *release* from the history."""
    if not is_in_clone(release):
        pytest.skip(f"the history of this clone has no {release}: the recorded folder is tested all the same")
    return EarlierRelease.taken(release, folder, commit_of(release))


def follow_the_page(organisation: Organisation) -> None:
    """Type what docs/howto/upgrade.md says for a folder whose servers were off for long, and publish the ports."""
    for words in (("ca", "crl"), ("ca", "issue", "--all"), ("topology", "publish", "-m", "ports that are free")):
        typed = organisation.type(*words)
        assert typed.code == 0, typed.out + typed.err


def give_lists(one: Organisation, other: Organisation) -> None:
    """Copy the CRLs of *one* to its partner *other*, as the page says."""
    for file in (one.folder / "ca").glob("*.crl"):
        shutil.copy(file, other.folder / "partners" / one.domain)


def servers_of(organisation: Organisation) -> list[str]:
    """Return each server that has a key in the folder."""
    keys = sorted((organisation.folder / "servers").glob("*.key"))
    return [key.stem for key in keys if not key.stem.endswith(".signer")]


def serve_all(organisation: Organisation) -> None:
    """Start each server that has a key in the folder."""
    organisation.serve(*servers_of(organisation))


def password(organisation: Organisation, name: str) -> str:
    """Give the line to type for the user *name* of a recorded folder."""
    return f"{json.loads((organisation.folder / PASSWORDS).read_text())[name]}\n"


def at(organisation: Organisation, server: str = FE1) -> tuple[str, str]:
    """The option that names *server*."""
    return "--server", organisation.address(server)


def until_good(organisation: Organisation, *, alone: bool = True) -> dict[str, Any]:
    """Wait until `sipmesh status` finds no fault; returns what it says. *alone*: partners do not run, which is none."""
    ends = time.monotonic() + START_S
    while not _is_good(said := organisation.type("status", "--json"), alone=alone):
        assert time.monotonic() < ends, said.out + said.err
        time.sleep(0.05)
    found: dict[str, Any] = said.json
    return found


def _is_good(said: Result, *, alone: bool) -> bool:
    if not (said.code and alone and said.out):
        return not said.code
    network = said.json
    servers = [network["master"], *network["servers"]]
    return not any(server["faults"] for server in servers) and all(
        peer["kind"] == "partner" for peer in network["peers"] if peer["faults"]
    )


@contextmanager
def bob_waits(organisation: Organisation, log: Path) -> Iterator[None]:
    """Log bob in, in a process that writes to *log* what it receives."""
    words = ("register", "--stay", "--as", "bob@example.com", "--password-stdin", *at(organisation, FE2))
    bob = organisation.spawn(*words, log=log)
    try:
        assert bob.stdin is not None
        with bob.stdin as keyboard:
            keyboard.write(password(organisation, "bob").encode())
        until("Waiting for messages", log)
        yield
    finally:
        bob.kill()
        bob.wait()


def until_told(organisation: Organisation, fault: str) -> None:
    """Wait until `sipmesh status` tells a fault."""
    ends = time.monotonic() + START_S
    while fault not in (said := organisation.type("status")).out:
        assert time.monotonic() < ends, said.out + said.err
        time.sleep(0.05)
