"""Record what a release leaves behind: ``make record``, in a clone that has the tag of this version.

It writes into ``recorded/``, from which the tests take what they start on:

``0.1.0.commit``: the commit. ``make record VERSION=0.1.0 COMMIT=main`` takes a commit without a tag.
``0.1.0.json``: the folder of example.com, which has two front ends, one with two workers, an edge, a partner and stored messages.
``0.1.0-partner.json``: the folder of the partner, example.org.
``0.1.0-postgresql.json`` and ``.sql``: example.com after it has moved all its tables into PostgreSQL, and the rows.

It needs `faketime` (apt), so that all certificates and CRLs in a folder are old: a test must not depend on the day it runs.
The servers run on their usual ports of 127.0.0.1 and 127.0.0.2.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cli.world import uncommented
from support.checkout import ROOT
from support.postgres import Cluster
from upgrades.earlier_release import EarlierRelease
from upgrades.recorded_folder import DATABASE_URL, PASSWORDS, RECORDED, record, record_commit, recorded

MOMENT: Final = "2026-09-01 10:00:00"
FE1, FE2, EDGE = (f"{host}.example.com" for host in ("fe1", "fe2", "edge1"))
PARTNERS: Final = {"com": "127.0.0.1", "org": "127.0.0.2"}
USERS: Final = {"com": {"alice": "sha-256", "bob": "md5"}, "org": {"carol": "sha-256"}}
TYPED: Final = {name: f"{name}-has-this-password" for users in USERS.values() for name in users}
READY_S: Final = 180.0
ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.org"


def main(release: str, revision: str) -> None:
    """Make the folders in a temporary place, and write them beside this file."""
    commit = commit_at(revision)
    with tempfile.TemporaryDirectory() as made:
        late = in_the_past(release, commit, Path(made) / "release")
        folders = {end: Path(made) / end for end in PARTNERS}
        build(late, folders)
        use(late, folders)
        record(release, folders["com"])
        record(f"{release}-partner", folders["org"])
    in_postgresql(release, commit)
    record_commit(release, commit)


def commit_at(revision: str) -> str:
    """Give the commit that *revision* is, such as a tag."""
    asked = ("git", "-C", ROOT, "rev-parse", "--verify", f"{revision}^{{commit}}")
    return subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def in_the_past(release: str, commit: str, folder: Path) -> EarlierRelease:
    """Take *release* into *folder*; each of its commands runs at the same moment of the past."""
    return EarlierRelease(release, EarlierRelease.taken(release, folder, commit).folder, at_the_moment())


def at_the_moment() -> tuple[str, ...]:
    """What is typed before a command of the past. `faketime` itself would stay between us and the command's process."""
    said = subprocess.run(("faketime", MOMENT, "env"), check=True, capture_output=True, text=True).stdout
    return ("env", *(line for line in said.splitlines() if line.startswith(("LD_PRELOAD=", "FAKETIME="))))


def build(release: EarlierRelease, folders: dict[str, Path]) -> None:
    """Make both organisations, and make them partners; a certificate of the second front end is stolen, and revoked."""
    for end, folder in folders.items():
        words = ("init", f"example.{end}", "--address", PARTNERS[end], "--dir", folder)
        release.run(*words, where=folder.parent)
        with_an_edge(release, folder, end)
        for name, digest in USERS[end].items():
            add = ("user", "add", f"{name}@example.{end}", "--digest", digest, "--password-stdin")
            release.run(*add, where=folder, typed=TYPED[name])
        (folder / PASSWORDS).write_text(json.dumps({name: TYPED[name] for name in USERS[end]}) + "\n")
    for end, other in (("com", "org"), ("org", "com")):
        ca = folders[other] / "ca"
        files = ("--ca", ca / "root.pem", "--crl", ca / "root.crl", "--crl", ca / "issuing.crl")
        edge = ("--edge", f"sip.example.{other}:5067", "--address", PARTNERS[other])
        release.run("partner", "add", f"example.{other}", *edge, *files, where=folders[end])
    steal(release, folders["com"])


def with_an_edge(release: EarlierRelease, folder: Path, end: str) -> None:
    """Take the comments from the second front end and the edge, and give the first front end two workers."""
    draft = folder / "topology.yaml"
    text = uncommented(draft.read_text())
    plain = f"{{name: fe1.example.{end}, address: {PARTNERS[end]}"
    assert plain in text
    draft.write_text(text.replace(plain, f"{plain}, workers: 2"))
    release.run("topology", "publish", "-m", "a second front end, an edge and workers", where=folder)
    release.run("ca", "issue", "--all", where=folder)


def steal(release: EarlierRelease, folder: Path) -> None:
    """Copy a key, revoke its certificate, and issue another one."""
    release.run("ca", "issue", FE2, "--days", "396", where=folder)  # the thief can use it for long
    stolen = folder / "stolen"
    stolen.mkdir()
    for end in ("key", "pem"):
        shutil.copy2(folder / "servers" / f"{FE2}.{end}", stolen)
    release.run("ca", "revoke", FE2, "--reason", "key-compromise", where=folder)
    release.run("ca", "issue", FE2, where=folder)


def use(release: EarlierRelease, folders: dict[str, Path]) -> None:
    """Run all servers; messages of a user and of the partner's user are stored for bob, who is away."""
    with ExitStack() as running:
        for folder in folders.values():
            running.enter_context(served(release, folder))
        send(release, folders["com"], ALICE)
        send(release, folders["org"], CAROL)


@contextmanager
def served(release: EarlierRelease, folder: Path) -> Iterator[None]:
    """Run each server of an organisation, until the front ends have the users; all end in order."""
    names = sorted(file.stem for file in (folder / "servers").glob("*.key") if not file.stem.endswith(".signer"))
    with (folder / "servers.log").open("ab") as log:
        running = [release.start("serve", name, where=folder, log=log) for name in names]
        try:
            until_there([folder / "state" / f"{name}.users" for name in names if name.startswith("fe")])
            yield
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(READY_S)


def until_there(files: list[Path], since: float = 0.0) -> None:
    """Wait until servers have written *files*, after the instant *since*."""
    ends = time.monotonic() + READY_S
    while not all(file.exists() and file.stat().st_mtime >= since for file in files):
        assert time.monotonic() < ends, f"{files} are not there"
        time.sleep(0.1)


def send(release: EarlierRelease, folder: Path, sender: str) -> None:
    """Send bob a message, from the first front end of the sender's organisation, as soon as it can be stored."""
    server = f"{PARTNERS[sender[-3:]]}:5061"
    words = (
        "message",
        "--as",
        sender,
        BOB,
        f"before the update, from {sender}",
        "--password-stdin",
        "--server",
        server,
    )
    until_done(release, *words, where=folder, typed=TYPED[sender.partition("@")[0]])


def until_done(release: EarlierRelease, *words: str, where: Path, typed: str = "") -> None:
    """Type a command until it succeeds: servers that were just started may not have each other yet."""
    ends = time.monotonic() + READY_S
    while True:
        try:
            release.run(*words, where=where, typed=typed)
        except AssertionError:
            assert time.monotonic() < ends, (where / "servers.log").read_text()
            time.sleep(0.5)
        else:
            return


def in_postgresql(release: str, commit: str) -> None:
    """Move the recorded folder of example.com into PostgreSQL as the pages say, and store a message there."""
    with tempfile.TemporaryDirectory() as made, Cluster() as cluster, cluster.named("sipmesh"):
        os.environ["PGHOST"] = str(cluster.folder)
        late, folder = in_the_past(release, commit, Path(made) / "release"), Path(made) / "com"
        recorded(release, folder)
        late.run("management", "move", DATABASE_URL, where=folder)
        late.run("user", "import", "users.db", "--into", DATABASE_URL, where=folder)
        draft = folder / "topology.yaml"
        stores = "".join(f"  {what}: '{DATABASE_URL}'\n" for what in ("users", "management", "messages"))
        draft.write_text(f"{draft.read_text()}\nstorage:\n{stores}")
        began = time.time()
        late.run("topology", "publish", "-m", "tables in PostgreSQL", where=folder)
        with served(late, folder):
            until_there([folder / "state" / f"{name}.topology" for name in (FE1, FE2, EDGE)], began)
        with served(late, folder):  # a server opens its databases when it starts
            send(late, folder, ALICE)
        record(f"{release}-postgresql", folder)
        (RECORDED / f"{release}-postgresql.sql").write_bytes(cluster.dump("sipmesh"))


if __name__ == "__main__":
    main(*sys.argv[1:])
