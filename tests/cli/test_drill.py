"""The drill: the host of management is lost for good, comes back on another address, and the others follow by themselves."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.world import DOMAIN, FE1, Organisation, sipmesh
from sipmesh.demo.ports import free_port
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask

MANAGEMENT = f"mgmt.{DOMAIN}"
PATIENCE_S = 20.0


@contextmanager
def stopped(*organisations: Organisation) -> Iterator[None]:
    """Stop what was started, at the end of a test."""
    try:
        yield
    finally:
        for one in organisations:
            one.stop()


def prepared(folder: Path) -> Organisation:
    """An organisation on ports that are free, published as version 2, with alice."""
    made = Organisation.make(folder)
    made.file.write_text(made.file.read_text().replace("server: 5070", f"server: {free_port()}"))
    assert made.type("topology", "publish", "-m", "a port that is free").code == 0
    made.add_user("alice")
    return made


def joined(far: Path, organisation: Organisation, words: Path) -> Organisation:
    """The front end on a machine of its own: a folder that nothing of the other's is in but what was granted."""
    far.mkdir()
    assert sipmesh("join", "request", FE1, "--dir", far).code == 0
    request = words.parent / f"{FE1}.csr"
    shutil.copy(far / f"{FE1}.csr", request)
    with chdir(words.parent):
        granted = organisation.type("join", "grant", request, "--replace")  # it has the certificate that `init` made
    mark = granted.out.rpartition("SHA-256 ")[2].strip()
    accepted = sipmesh("join", "accept", request.with_suffix(".join"), "--dir", far, "--fingerprint", mark)
    assert accepted.code == 0, accepted.err
    return Organisation(far, ports=organisation.ports)


def missing(organisation: Organisation, version: int) -> Any:
    """The servers that do not follow management, after all have had the time to."""
    socket = organisation.folder / "state" / f"{MANAGEMENT}{SOCKET_SUFFIX}"
    asked = ask(socket, "acknowledged", timeout_s=PATIENCE_S + 5, version=version, wait_s=PATIENCE_S)
    return asyncio.run(asked)["missing"]


def until(holds: Callable[[], bool]) -> None:
    """Users come by themselves, right behind the version."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def logs_in(far: Organisation, who: str, root: Path) -> bool:
    place = ("--server", far.address(FE1), "--ca", root)
    return far.acting("register", who, *place).code == 0


@pytest.mark.wide
def test_management_is_restored_on_another_address_and_every_server_follows(tmp_path: Path) -> None:
    words, kept, root = tmp_path / "words", tmp_path / "one.backup", tmp_path / "root.pem"
    words.write_text("correct horse battery staple\n")
    words.chmod(0o600)
    old = prepared(tmp_path / "old")
    shutil.copy(old.root, root)
    far, new = joined(tmp_path / "far", old, words), Organisation(tmp_path / "new", ports=old.ports)
    with stopped(new, far, old):
        old.serve(MANAGEMENT)
        far.serve(FE1)
        assert missing(old, 2) == []
        assert old.type("backup", kept, "--passphrase-file", words).code == 0
        old.add_user("bob")
        assert old.type("topology", "publish", "-m", "after the backup").code == 0
        old.stop()
        old.servers.clear()
        shutil.rmtree(old.folder)
        assert logs_in(far, "alice", root)  # it goes on alone

        restored = sipmesh("restore", kept, "--dir", new.folder, "--address", "127.0.0.2", "--passphrase-file", words)
        assert restored.code == 0, restored.err
        assert "address: 127.0.0.2" in new.file.read_text()
        version = new.type("topology", "history", "--json").json[-1]["version"]
        assert version > 1000
        new.serve(MANAGEMENT)
        assert missing(new, version) == []
        assert logs_in(far, "alice", root)
        until(lambda: not logs_in(far, "bob", root))  # added after the backup: no user of what was restored
        acts = [json.loads(line)["act"] for line in new.type("audit", "--json").out.splitlines()]
        assert acts[-3:] == ["restore", "publish", "grant"]  # the address of management changes: a grant
        assert new.type("audit", "verify").code == 0
        assert new.type("ca", "issue", MANAGEMENT).code == 0
