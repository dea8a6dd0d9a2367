"""What an operator lives through, typed with the real commands on real processes, and printed as it goes.

`python -m bench.acts grow`: from `sipmesh init` to eight servers, a version, a rollback, and a server that is removed.
`python -m bench.acts split`: two halves of a network that do not see each other for a while (network namespaces, as root).
`python -m bench.acts drill`: management is lost with its host, and restored from its backup at another address.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509

from bench.bed import MeasurementError
from bench.fleet import MGMT, SMALL, WHOLE, Fleet, Tell, full, raise_up, stopped
from sipmesh.server.replication.document_store import DocumentStore

FE1, FE2, FE3, EDGE1 = full("fe1"), full("fe2"), full("fe3"), full("edge1")
UNSEEN_S = 33.0
"""A server that has said nothing for half a minute is shown as cut off."""

PATIENCE_S = 150.0
"""TCP asks at ever longer intervals whether the other side is back: up to as long as it was away, once more."""


def must(holds: object, what: str) -> None:
    """Raise `MeasurementError` where something is not as it has to be."""
    if not holds:
        raise MeasurementError(what)


MANAGEMENT_PORT = 5070


# Growing


def grow(folder: Path, tell: Tell) -> None:
    """From nothing to eight servers, then a version, a rollback and a removal; every step is checked."""
    with stopped(Fleet(folder, tell)) as run:
        raise_up(run, WHOLE)
        run.recovered()
        run.type("status")
        tell("# a domain is blocked, by mistake\n")
        run.edit(lambda document: document.update(federation={"route": full("sip1"), "blocked": ["partner.test"]}))
        run.type("topology", "publish", "-m", "partner.test is not to be trusted")
        run.type("topology", "rollback", 2, "-m", "it was another one")
        run.type("topology", "history")
        run.type("topology", "diff", 3, 4)
        tell("# fe3 is sold; the links of all others with it go down, and no others\n")
        before, doomed = _links(run, FE3)
        must(doomed, "fe3 has no links")
        run.edit(_undo_and_remove)
        run.type("topology", "publish", "-m", "fe3 is sold")
        after, left = _links(run, FE3)
        tell(f"links of the others with fe3: {len(doomed)} before, {len(left)} after\n")
        tell(f"all other links: {len(before)} before, {len(before & after)} of them still up\n\n")
        must(not left, f"links with fe3 are still up: {left}")
        must(before <= after, f"other links fell: {before - after}")
        run.recovered()
        run.type("status")
        run.type("ca", "status", "--all")
        run.type("audit", "verify")
        run.type("audit")


def _undo_and_remove(document: dict[str, Any]) -> None:
    document.pop("federation", None)
    for pool in document["pools"]:
        for server in [one for one in pool["servers"] if one["name"] == FE3]:
            pool["servers"].remove(server)


def _links(run: Fleet, with_server: str) -> tuple[set[str], set[str]]:
    """The links of all other servers: those that are not with a server, and those that are."""
    told = {
        f"{server} {one['id']} {one['peer']}": one["peer"] == with_server
        for server in run.running
        if server != with_server
        for one in run.ask(server, "links")
        if one["state"] == "up"
    }
    return {link for link, is_with in told.items() if not is_with}, {link for link, is_with in told.items() if is_with}


# Split


@contextmanager
def namespace(net: str, here: tuple[str, ...], there: tuple[str, ...]) -> Iterator[str]:
    """Make a network namespace with the addresses *there*, and a cable from it to *here*; raises `MeasurementError` if not."""
    mark = secrets.token_hex(3)
    name, near, far = f"sipmesh-{mark}", f"sm{mark}a", f"sm{mark}b"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        for address in here:
            _ip("address", "add", f"{net}.{address}/24", "dev", near)
        for address in there:
            _ip("-n", name, "address", "add", f"{net}.{address}/24", "dev", far)
        _ip("link", "set", near, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", far, "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", near], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def may_split() -> str:
    """Why there can be no second network here; empty where there can."""
    if os.geteuid():
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no `ip`"
    try:
        with namespace("10.254.253", ("1",), ("2",)):
            return ""
    except MeasurementError as wrong:
        return f"no network namespace can be made here: {wrong}"


def split(folder: Path, tell: Tell, unseen_s: float = UNSEEN_S) -> None:
    """Cut fe2 and edge1 off from the others, twice, and publish meanwhile: every server ends on the last version.

    The first time they run on; the second time fe2 is restarted while it sees only the edge.
    """
    net = f"10.254.{1 + secrets.randbelow(250)}"
    with namespace(net, ("1",), ("12", "13")) as name, stopped(Fleet(folder, tell, net)) as run:
        run.inside[FE2] = run.inside[EDGE1] = ("ip", "netns", "exec", name)
        raise_up(run, SMALL)
        must([run.addresses[one] for one in (FE2, EDGE1)] == [f"{net}.12", f"{net}.13"], "they are at other addresses")
        cable = next(one for one in _links_of(name) if one != "lo")
        _cut(run, name, cable)
        _publish_unseen(run, "evil.test")
        _publish_unseen(run, "evil.test", "worse.test")
        _must_hold(run, {FE1: 4, FE2: 2, EDGE1: 2})
        tell(f"# after {unseen_s:g} s\n")
        time.sleep(unseen_s)
        run.type("status", code=1)
        _mend(run, name, cable, 4)
        _cut(run, name, cable)
        _publish_unseen(run, "worse.test")
        run.stop(FE2)
        run.serve(FE2)
        _must_hold(run, {FE1: 5, FE2: 4, EDGE1: 4})
        _mend(run, name, cable, 5)
        run.recovered()
        run.type("status")


def _cut(run: Fleet, name: str, cable: str) -> None:
    _ip("-n", name, "link", "set", cable, "down")
    run.tell("# the cable to fe2 and edge1 is cut\n")


def _publish_unseen(run: Fleet, *blocked: str) -> None:
    run.edit(lambda document: document.update(federation={"route": full("sip1"), "blocked": list(blocked)}))
    run.type("topology", "publish", "-m", f"{blocked[-1]} is blocked", "--wait", "2", code=1)


def _must_hold(run: Fleet, wanted: dict[str, int]) -> None:
    """See that each server has a topology, and which; raises `OperatorError` where one has none."""
    held = {server: DocumentStore(run.home(server), server).load().number for server in wanted}
    must(held == wanted, f"versions are {held}, not {wanted}")


def _mend(run: Fleet, name: str, cable: str, number: int) -> None:
    _ip("-n", name, "link", "set", cable, "up")
    began = time.monotonic()
    run.tell("# the cable is mended\n")
    while answer := run.ask(MGMT, "acknowledged", version=number, wait_s=1)["missing"]:
        must(time.monotonic() < began + PATIENCE_S, f"{answer} have not caught up after {PATIENCE_S:g} s")
    run.tell(f"every server has version {number} in force {time.monotonic() - began:.1f} s after that\n\n")
    _must_hold(run, dict.fromkeys((FE1, FE2, EDGE1), number))


def _links_of(name: str) -> list[str]:
    shown = subprocess.run(["ip", "-n", name, "-o", "link"], capture_output=True, text=True, check=True).stdout
    return [line.split(": ")[1].partition("@")[0] for line in shown.splitlines()]


# The restore drill


def drill(folder: Path, tell: Tell) -> None:
    """Lose the host of management, restore the backup elsewhere, publish its new address: every server follows by itself."""
    with stopped(Fleet(folder, tell)) as run:
        raise_up(run, SMALL)
        words = folder / "words"
        words.write_text("correct horse battery staple\n")
        words.chmod(0o600)
        run.type("user", "add", "alice", "--password-stdin", typed="alice-secret\n")
        run.type("backup", folder / "one.backup", "--passphrase-file", words)
        tell("# after the backup: one more version; then the host of management is lost\n")
        run.edit(lambda document: document.update(federation={"route": full("sip1"), "blocked": ["evil.test"]}))
        run.type("topology", "publish", "-m", "after the backup")
        lists = _list_number(run)
        run.stop(MGMT, number=signal.SIGKILL)
        run.main.rename(folder / "lost")
        run.main = folder / "restored"
        moved = f"{run.net}.9"
        how = ("--dir", run.main, "--address", moved, "--passphrase-file", words)
        with socket.create_server((run.addresses[MGMT], MANAGEMENT_PORT)):  # another host has the old address by now
            run.type("restore", folder / "one.backup", *how, at=folder)
            run.serve(MGMT)
            run.acknowledged()
        run.type("status")
        run.type("topology", "history")
        run.type("audit", "verify")
        versions = [one["version"] for one in run.ask(MGMT, "history")]
        must(versions[-1] >= 1000 + versions[-2], f"versions have not jumped: {versions}")
        must(_list_number(run) >= lists + 1000, "the numbers of lists have not jumped")
        run.type("topology", "publish", "-m", "and it goes on", "--wait", "30")


def _list_number(run: Fleet) -> int:
    held = x509.load_pem_x509_crl((run.main / "ca" / "issuing.crl").read_bytes())
    return held.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


ACTS = {"grow": grow, "split": split, "drill": drill}


def main() -> int:
    """Play one act; 1 if anything in it was not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=ACTS)
    given = parser.parse_args()

    def tell(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="sipmesh-") as folder:
        try:
            ACTS[given.act](Path(folder) / "o", tell)
        except MeasurementError as wrong:
            sys.stdout.write(f"NOT AS IT HAS TO BE: {wrong}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
