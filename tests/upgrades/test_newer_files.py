"""A newer release has brought files forward: this one says so, changes nothing, and the backup from before leads back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.world import FE1, MGMT, START_S, Organisation, Result, environment, sipmesh, until
from sipmesh.database.schema import MESSAGES, USERS
from sipmesh.storage import state_format
from sipmesh.storage.location_service.bindings import SCHEMA_VERSION
from upgrades.conftest import follow_the_page, serve_all, until_good, until_told
from upgrades.recorded_folder import BEFORE

pytestmark = pytest.mark.wide

PASSPHRASE = "six words are a good passphrase\n"
Forward = Callable[[Path], None]


def number(file: str, statement: str) -> Forward:
    """What a newer release does to a database."""

    def forward(folder: Path) -> None:
        with closing(sqlite3.connect(folder / file)) as db, db:
            db.execute(statement)

    return forward


def newer_format(folder: Path) -> None:
    """What a newer release does to the number of all other files."""
    (folder / "state" / state_format.NAME).write_text(f"{state_format.FORMAT + 1}\n")


NEWER = {
    "users": number("users.db", "UPDATE users_schema SET version_num = '9999'"),
    "messages": number("state/messages.db", "UPDATE messages_schema SET version_num = '9999'"),
    "registrations": number("state/bindings.db", f"PRAGMA user_version = {SCHEMA_VERSION + 1}"),
    "state": newer_format,
}
KNOWN = {
    "users": f"knows revisions up to {USERS.head}; install the release that wrote it, or a newer one",
    "messages": f"knows revisions up to {MESSAGES.head}; install the release that wrote it, or a newer one",
    "registrations": f"knows formats up to {SCHEMA_VERSION}; install the release that wrote them, or a newer one",
    "state": f"knows formats up to {state_format.FORMAT}; install the release that wrote them, or a newer one",
}


@pytest.fixture(name="release")
def _release() -> str:
    return BEFORE


def server_of(what: str) -> str:
    """The server that opens the file."""
    return MGMT if what == "users" else FE1


@pytest.mark.parametrize("what", ["users", "registrations", "state"])
def test_server_says_that_a_newer_release_has_written_its_files(left_behind: Organisation, what: str) -> None:
    """The control: it has started with these files before, and does so with those of the backup from before the update."""
    follow_the_page(left_behind)
    serve_all(left_behind)
    until_good(left_behind)
    backup = backed_up(left_behind)
    left_behind.stop()
    left_behind.servers.clear()
    NEWER[what](left_behind.folder)
    before = fingerprint(left_behind.folder)
    refused = started(left_behind, server_of(what))
    assert refused.code == 1
    assert KNOWN[what] in " ".join(refused.err.split())
    assert fingerprint(left_behind.folder) == before
    assert_restored_network_serves(left_behind, backup)


def test_server_serves_without_the_messages_of_a_newer_release_and_status_says_so(left_behind: Organisation) -> None:
    """Calls go on. The control: with the messages of the release itself there is no fault."""
    follow_the_page(left_behind)
    serve_all(left_behind)
    until_good(left_behind)
    left_behind.stop()
    left_behind.servers.clear()
    NEWER["messages"](left_behind.folder)
    serve_all(left_behind)
    log = left_behind.folder / f"{FE1}.log"
    until(KNOWN["messages"], log)
    until_told(left_behind, "✗ stored messages: cannot be used by ")


def backed_up(organisation: Organisation) -> Path:
    """Make the backup before the update."""
    backup = organisation.folder.with_suffix(".backup")
    made = organisation.type("backup", backup, "--passphrase-file", "-", typed=PASSPHRASE)
    assert made.code == 0, made.err
    return backup


def started(organisation: Organisation, server: str) -> Result:
    """Start a server, and wait until it has ended by itself."""
    command = [sys.executable, "-m", "sipmesh", "serve", server, "--topology", str(organisation.file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), timeout=START_S)
    return Result(done.returncode, done.stdout, done.stderr)


def fingerprint(folder: Path) -> dict[str, bytes]:
    """The content of each database and of the note of the format."""
    files = [*folder.glob("*.db"), *(folder / "state").glob("*.db"), folder / "state" / state_format.NAME]
    return {file.name: file.read_bytes() for file in files}


def assert_restored_network_serves(organisation: Organisation, backup: Path) -> None:
    """Follow the page: restore the backup into an empty folder, and start all servers."""
    folder = organisation.folder.with_name(f"{organisation.folder.name}-r")
    restored = sipmesh("restore", backup, "--dir", folder, "--passphrase-file", "-", typed=PASSPHRASE)
    assert restored.code == 0, restored.err
    again = Organisation(folder, ports=organisation.ports)
    try:
        serve_all(again)
        until_good(again)
    finally:
        again.stop()
