"""The way back by one release: 0.1.0 starts on what this release has written, and nothing is lost."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.world import FE1, START_S, Organisation, until
from upgrades.conftest import at, follow_the_page, password, serve_all, servers_of, taken, until_good
from upgrades.earlier_release import EarlierRelease
from upgrades.recorded_folder import BEFORE

pytestmark = pytest.mark.wide
TOLD = "stored by the newer release"
NEW_USER, SECRET = "dave", "quite-another-secret\n"


@pytest.fixture(name="release")
def _release() -> str:
    return BEFORE


def test_release_before_serves_the_folder_that_this_release_has_used(left_behind: Organisation, tmp_path: Path) -> None:
    """This release adds a user, publishes, revokes and stores a message: 0.1.0 reads all of it, and the message arrives."""
    earlier = taken(BEFORE, tmp_path)
    use(left_behind)
    with served_by(earlier, left_behind):
        history = json.loads(type_at(earlier, left_behind, "topology", "history", "--json"))
        assert history[-1]["why"] == "published by the newer release"
        assert "intact" in type_at(earlier, left_behind, "audit", "verify")
        words = ("register", "--password-stdin", *at(left_behind))
        assert "200 OK" in type_at(earlier, left_behind, *words, "--as", f"{NEW_USER}@example.com", typed=SECRET)
        assert_message_waits_for_bob(earlier, left_behind)
    serve_all(left_behind)  # and forward again
    until_good(left_behind)


def use(organisation: Organisation) -> None:
    """Let this release write all that it writes."""
    follow_the_page(organisation)
    serve_all(organisation)
    until_good(organisation)
    added = organisation.type("user", "add", NEW_USER, "--password-stdin", typed=SECRET)
    assert added.code == 0, added.err
    assert organisation.type("ca", "revoke", FE1, "--reason", "superseded").code == 0
    assert organisation.type("ca", "issue", FE1).code == 0
    until_good(organisation)
    organisation.publish("published by the newer release")
    words = ("message", "--as", "alice@example.com", "--password-stdin", "bob@example.com", TOLD, *at(organisation))
    assert "202" in organisation.type(*words, typed=password(organisation, "alice")).out
    organisation.stop()
    organisation.servers.clear()


def type_at(release: EarlierRelease, organisation: Organisation, *words: str, typed: str = "") -> str:
    """Type a command of *release* in the folder."""
    return release.run(*words, where=organisation.folder, typed=typed)


@contextmanager
def served_by(release: EarlierRelease, organisation: Organisation) -> Iterator[None]:
    """Run each server of *organisation* as *release*; each must start, and end in order."""
    folder = organisation.folder
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in servers_of(organisation):
            with (folder / f"{name}.log").open("ab") as log:
                running[name] = release.start("serve", name, where=folder, log=log)
        for name, process in running.items():
            organisation.wait_for(name, process)
        yield
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        ended = {name: process.wait(START_S) for name, process in running.items()}
    assert set(ended.values()) == {0}, ended


def assert_message_waits_for_bob(release: EarlierRelease, organisation: Organisation) -> None:
    """Log bob in with a command of *release*, and wait for the message that is stored for him."""
    file = organisation.folder / "bob.log"
    words = ("register", "--stay", "--as", "bob@example.com", "--password-stdin", *at(organisation))
    with file.open("ab") as log:
        bob = release.start(*words, where=organisation.folder, log=log, typed=password(organisation, "bob"))
    try:
        until(TOLD, file)
    finally:
        bob.kill()
        bob.wait()
