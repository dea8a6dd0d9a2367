"""Measures how long a link outlives its certificate: from `ca revoke` to the end of the connection, on one host.

A server runs as a process of its own; the peers hold real links to its server port. For each run a peer comes with a new
certificate, which is then revoked: by the command, as an operator types it, and by the CA alone, without a notification to the
server. Bystanders have to be answered after each run: a link that falls with another's certificate spoils the measurement.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.bed import MeasurementError, started
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.pki.crl.builder import Reason
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

DOMAIN, POOL = "example.test", "pool1.example.test"
SERVER, PEER = "fe1.example.test", "fe2.example.test"
LONGEST_S = 10.0
PROMISE_S = 1.0
MOST_BYSTANDERS = 15  # with the revoked link as many as one server may open to another

QUESTION = (
    "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/TLS {name};branch=z9hG4bK-{number}\r\nMax-Forwards: 70\r\n"
    "From: <sip:probe@example.test>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A link to the server under test, and its certificate."""

    link: ssl.SSLSocket
    serial: int

    def is_answered(self) -> bool:
        """Ask one question; False if the link is down."""
        question = QUESTION.format(name=PEER, number=time.monotonic_ns())
        try:
            self.link.sendall(question.encode())
            return self.link.recv(65_536).startswith(b"SIP/2.0 200")
        except OSError:
            return False

    def fell_at(self) -> float:
        """Wait for the end of the link; raises `MeasurementError` if it does not come."""
        try:
            while self.link.recv(65_536):
                pass
        except TimeoutError:
            raise MeasurementError(f"the link is still up after {LONGEST_S:g} s") from None
        except OSError:
            pass
        return time.monotonic()


class Bench:
    """An organisation in a folder, with one of its servers running; *typed* and *signed* revoke, each in its way."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation, self._made = organisation, 0

    def peer(self) -> Peer:
        """Come with a new certificate, and be accepted."""
        names = certificate_names(self._organisation.load().topology, PEER)
        self._made += 1
        issued = self._organisation.ca.issue(names, Role.FRONT_END, datetime.now(UTC))
        folder = self._organisation.folder / "peers"
        credentials = folder / f"{self._made}.pem", folder / f"{self._made}.key"
        issued.write(*credentials)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*credentials)
        plain = socket.create_connection(self._organisation.address(SERVER, LinkKind.SERVER), timeout=LONGEST_S)
        peer = Peer(context.wrap_socket(plain), issued.certificate.serial_number)
        if not peer.is_answered():
            raise MeasurementError("a peer with a good certificate is not let in")
        return peer

    def typed(self, serial: int) -> None:
        """Revoke as an operator does."""
        command = ("-m", "sipmesh", "ca", "revoke", "--serial", f"{serial:x}", "--topology", self._organisation.file)
        done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise MeasurementError(f"ca revoke: {done.stderr}")

    def signed(self, serial: int) -> None:
        """Write the new CRL without a notification."""
        self._organisation.ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))

    def outlived(self, revoke: Callable[[int], None]) -> float:
        """Return how long a link outlives the beginning of *revoke*, in seconds."""
        peer = self.peer()
        with peer.link, ThreadPoolExecutor(1) as watcher:
            fell = watcher.submit(peer.fell_at)
            began = time.monotonic()
            revoke(peer.serial)
            return fell.result() - began


def measure(bench: Bench, runs: int, bystanders: int) -> dict[str, list[float]]:
    """Revoke so many times in each way, with so many others looking on."""
    with ExitStack() as stack:
        others = [bench.peer() for _ in range(bystanders)]
        for other in others:
            stack.enter_context(other.link)
        found: dict[str, list[float]] = {"ca revoke, as typed": [], "the CA alone": []}
        for _ in range(runs):
            for way, revoke in zip(found, (bench.typed, bench.signed), strict=True):
                found[way].append(bench.outlived(revoke))
                if not all(other.is_answered() for other in others):
                    raise MeasurementError("a link fell that stands on another certificate")
    return found


def serving(organisation: Organisation) -> AbstractContextManager[object]:
    """Run the server as long as it is needed."""
    command = [sys.executable, "-m", "sipmesh", "serve", SERVER, "--topology", str(organisation.file)]
    return started(command, organisation.address(SERVER, LinkKind.SERVER), organisation.folder / "server.log")


def main() -> int:
    """Measure and tell; the exit status is 1 where a run broke the promise of a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument(
        "--bystanders", type=int, default=MOST_BYSTANDERS, help=f"other links, {MOST_BYSTANDERS} at most"
    )
    given = parser.parse_args()
    if not 0 <= given.bystanders <= MOST_BYSTANDERS:
        parser.error(f"one server may open {MOST_BYSTANDERS + 1} links: --bystanders takes {MOST_BYSTANDERS} at most")
    with tempfile.TemporaryDirectory() as folder:
        plan = PoolPlan(POOL, Role.FRONT_END, (SERVER, PEER))
        organisation = Organisation.build(Path(folder) / "o", DOMAIN, (plan,))
        organisation.write()
        organisation.issue_all()
        with serving(organisation):
            found = measure(Bench(organisation), given.runs, given.bystanders)
    for way, outlived in found.items():
        median, worst = statistics.median(outlived), max(outlived)
        told = f"{way}: link down after {median:.3f} s (median), {worst:.3f} s (worst of {len(outlived)})"
        sys.stdout.write(f"{told}\n")
    return int(any(max(outlived) > PROMISE_S for outlived in found.values()))


if __name__ == "__main__":
    sys.exit(main())
