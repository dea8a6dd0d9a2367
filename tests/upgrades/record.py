"""Record the folder of an organisation as a release makes it: ``python tests/upgrades/record.py 0.1.0``.

With ``postgresql`` behind the release it moves that folder into PostgreSQL, as the release does, and records the rows.

It needs `faketime` (apt), so that all certificates and CRLs in the folder are old: a test must not depend on the day it runs.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.postgres import Cluster
from upgrades.earlier_release import EarlierRelease
from upgrades.recorded_folder import RECORDED, name_of, record, recorded

MOMENT: Final = "2026-09-01 10:00:00"
FE1, FE2, MGMT = "fe1.example.com", "fe2.example.com", "mgmt.example.com"
SERVERS: Final = (MGMT, FE1, FE2)
READY_S: Final = 30.0
STORES_MESSAGES: Final = frozenset({"0.1.0"})


def main(release: str) -> None:
    """Make the folder in a temporary place, and write it beside this file."""
    with tempfile.TemporaryDirectory() as made:
        earlier = EarlierRelease.taken(release, Path(made) / "release")
        late = EarlierRelease(release, earlier.folder, ("faketime", MOMENT))
        folder = Path(made) / "example.com"
        build(late, folder)
        use(late, folder)
        record(release, folder)


def build(release: EarlierRelease, folder: Path) -> None:
    """Make two front ends and two users; a certificate of the second front end is stolen, and revoked."""
    release.run("init", "example.com", "--dir", folder, where=folder.parent)
    draft = folder / "topology.yaml"
    draft.write_text(draft.read_text().replace(f"#- {{name: {FE2}", f"- {{name: {FE2}"))
    release.run("topology", "publish", "-m", "a second front end", where=folder)
    for name, digest in (("alice", "sha-256"), ("bob", "md5")):
        release.run(
            "user", "add", f"{name}@example.com", "--digest", digest, "--password-stdin", where=folder, typed=name
        )
    release.run("ca", "issue", FE2, "--days", "396", where=folder)  # the thief can use it for long
    stolen = folder / "stolen"
    stolen.mkdir()
    for end in ("key", "pem"):
        shutil.copy2(folder / "servers" / f"{FE2}.{end}", stolen)
    release.run("ca", "revoke", FE2, "--reason", "key-compromise", where=folder)
    release.run("ca", "issue", FE2, where=folder)


def use(release: EarlierRelease, folder: Path) -> None:
    """Run the servers until each has its version and its users; a message for bob, who is away, is stored."""
    log = (folder / "servers.log").open("ab")
    running = [release.start("serve", name, where=folder, log=log) for name in SERVERS]
    try:
        until_there([folder / "state" / f"{name}.users" for name in (FE1, FE2)])
        if release.release in STORES_MESSAGES:
            words = ("message", "--as", "alice@example.com", "bob@example.com", "from before the update")
            release.run(*words, "--password-stdin", "--server", "127.0.0.1:5061", where=folder, typed="alice")
    finally:
        for process in running:
            stop(process)
        log.close()


def until_there(files: list[Path]) -> None:
    """Wait until servers have written *files*."""
    ends = time.monotonic() + READY_S
    while not all(file.exists() for file in files):
        assert time.monotonic() < ends, f"{files} are not there"
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server in order."""
    process.send_signal(signal.SIGTERM)
    process.wait(READY_S)


def in_postgresql(release: str) -> None:
    """Record the rows of the recorded folder in PostgreSQL: versions, audit log, ledger, users."""
    with tempfile.TemporaryDirectory() as made, Cluster() as cluster, cluster.database() as url:
        earlier, folder = EarlierRelease.taken(release, Path(made) / "release"), Path(made) / "example.com"
        recorded(release, folder)
        earlier.run("management", "move", url, where=folder)
        earlier.run("user", "import", "users.db", "--into", url, where=folder)
        (RECORDED / f"{release}.sql").write_bytes(cluster.dump(name_of(url)))


if __name__ == "__main__":
    if "postgresql" in sys.argv:
        in_postgresql(sys.argv[1])
    else:
        main(sys.argv[1])
