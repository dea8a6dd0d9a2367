"""Reissues a server's certificate every second under a load of messages, and counts what that costs: it may cost nothing.

The server is a process of its own, with the CA's folder beside it as `sipmesh init` lays it out; users send messages through it
to another server, at a fixed rate. Meanwhile new certificates are issued and put in place. Told are requests that were refused
or not answered, links that were up before and are not after, and how long a new certificate took to come into use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from bench.bed import LOAD, MeasurementError, Result, build, pinned, started
from bench.organisation import PASSWORD
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

DOMAIN, SERVER, SINK = "a.test", "p1.a.test", "sink.b.test"  # as the load generator has them
LINKS = 20
EVERY_S = 1.0
LONGEST_S = 10.0
LOOK_S = 0.05
WARM_UP_S = 2


@dataclass
class Rotated:
    """What happened: *result* is the load generator's, *took* how long each certificate needed to come into use."""

    result: Result = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)

    @property
    def sound(self) -> bool:
        """Whether nothing was lost."""
        lost = self.result["errors"] or self.result["unanswered"] or self.before - self.after
        return bool(self.result["done"] and self.took and self.before and not lost)

    def __str__(self) -> str:
        told = self.result
        return (
            f"{told['done']:,.0f} requests in {told['seconds']:.0f} s ({told['per_s']:,.0f} a second): "
            f"{told['errors']} refused or lost, {told['unanswered']} unanswered; p99 {told['p99_ms']:.1f} ms\n"
            f"{len(self.before)} links at the beginning: {len(self.before - self.after)} of them gone at the end\n"
            f"{len(self.took)} certificates issued, each in use: after {statistics.median(self.took):.2f} s (median), "
            f"{max(self.took):.2f} s (worst)\n{told.get('first_error', '')}"
        ).rstrip("\n")


def organisation_in(folder: Path) -> Organisation:
    """One front end, its users, and the server that their messages go to."""
    plans = (
        PoolPlan(SERVER, Role.FRONT_END, (SERVER,)),
        PoolPlan(SINK, Role.APPLICATION, (SINK,), {"next_hop": SERVER}),
    )
    made = Organisation.build(folder, DOMAIN, plans)
    made.write()
    made.issue_all()
    users = Users(made.load().users_url)
    for number in range(LINKS):
        users.add(f"user{number}@{DOMAIN}", PASSWORD)
    users.close()
    return made


def load_command(organisation: Organisation, binary: Path, rate: int, seconds: int) -> list[str]:
    """The load generator, told where everything is."""
    to, sink = organisation.address(SERVER, LinkKind.CLIENT), organisation.address(SINK, LinkKind.SERVER)
    credentials = organisation.folder / "servers" / f"{SINK}.pem", organisation.folder / "servers" / f"{SINK}.key"
    where = ("--connect", f"{to[0]}:{to[1]}", "--ca", organisation.root, "--sink", f"{sink[0]}:{sink[1]}")
    shown = ("--sink-certificate", credentials[0], "--sink-key", credentials[1])
    size = ("--links", LINKS, "--rate", rate, "--seconds", seconds, "--warmup", WARM_UP_S)
    return list(map(str, (binary, "messages", *where, *shown, *size)))


def links_up(organisation: Organisation) -> dict[str, int]:
    """The links that have carried something: how many messages, by their ids."""
    state = organisation.folder / "state" / f"{SERVER}{SOCKET_SUFFIX}"
    return {link["id"]: link["messages_in"] for link in asyncio.run(ask(state, "links")) if link["messages_in"]}


def links_under_load(organisation: Organisation) -> set[str] | None:
    """The links while the load was still sending, None where it may have ended: then it has closed its links itself."""
    seen = links_up(organisation)
    time.sleep(LOOK_S)
    later = links_up(organisation)
    return set(seen) if any(later.get(link, 0) > count for link, count in seen.items()) else None


def shown(address: tuple[str, int]) -> int:
    """The serial of the certificate that the server shows to a new link."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, timeout=LONGEST_S) as plain, context.wrap_socket(plain) as link:
        leaf = link.getpeercert(binary_form=True)
    if leaf is None:
        raise MeasurementError("the server shows no certificate")
    return x509.load_der_x509_certificate(leaf).serial_number


def rotate(organisation: Organisation) -> float:
    """Issue a new certificate, and give how long it took until new links saw it, in seconds."""
    organisation.issue(SERVER)
    laid = x509.load_pem_x509_certificates((organisation.folder / "servers" / f"{SERVER}.pem").read_bytes())[0]
    began = time.monotonic()
    while shown(organisation.address(SERVER, LinkKind.CLIENT)) != laid.serial_number:
        if time.monotonic() - began > LONGEST_S:
            raise MeasurementError(f"a new certificate is not in use after {LONGEST_S:g} s")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def measure(folder: Path, binary: Path, rate: int, seconds: int) -> Rotated:
    """Put the load on, rotate until shortly before its end, and look at what is left."""
    organisation, found = organisation_in(folder), Rotated()
    command = [sys.executable, "-m", "sipmesh", "serve", SERVER, "--topology", str(organisation.file)]
    at = organisation.address(SERVER, LinkKind.CLIENT)
    with started(pinned(command, first=True), at, folder / "server.log"):
        load = subprocess.Popen(
            pinned(load_command(organisation, binary, rate, seconds), first=False),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _until_under_way(organisation, load, found)
            end = time.monotonic() + WARM_UP_S + seconds - EVERY_S
            while (begun := time.monotonic()) < end and load.poll() is None:
                found.took.append(rotate(organisation))
                found.after = links_under_load(organisation) or found.after
                time.sleep(max(0.0, begun + EVERY_S - time.monotonic()))
            said, complaint = load.communicate(timeout=seconds + LONGEST_S)
        finally:
            load.kill()
            load.wait()
    if not said:
        raise MeasurementError(f"no result of the load generator:\n{complaint}")
    found.result = json.loads(said)
    return found


def _until_under_way(organisation: Organisation, load: subprocess.Popen[str], found: Rotated) -> None:
    """Wait until every user and the sink have their link."""
    end = time.monotonic() + LONGEST_S
    while len(found.before) < LINKS + 1:
        if load.poll() is not None or time.monotonic() > end:
            load.kill()
            raise MeasurementError(f"the load does not start:\n{load.communicate()[1]}")
        time.sleep(LOOK_S)
        found.before = set(links_up(organisation))


def main() -> int:
    """Measure and tell; the exit status is 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=300, help="requests a second")
    parser.add_argument("--load", type=Path, default=None, help="the load generator; built unless it is named")
    given = parser.parse_args()
    try:
        if given.load is None:
            build()
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder) / "o", given.load or LOAD, given.rate, given.seconds)
    except MeasurementError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return int(not found.sound)


if __name__ == "__main__":
    sys.exit(main())
