"""Measures how long a change of trust takes in a whole organisation: eight servers, each a process in a folder of its own.

A publication is timed from the comparison that the operator sees until management knows that it is in force on every server.
A revocation is timed until the last link of its certificate is down, at any server: from the moment at which `sipmesh ca
revoke` is typed, and from that at which the CA signs its CRL without a notification. No other link may fall.

With --growth: how the cost grows with the number of servers and partners, instead.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.bed import MeasurementError
from bench.fleet import MGMT, SERVER_PORT, SMALL, WHOLE, Fleet, fleet, full
from bench.network_size import PARTNERS, REPEATS, SERVERS, measure_size
from bench.revocation import LONGEST_S
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.topology.document.load import load
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role

PUBLISH_PROMISE_S = 2.0
REVOKE_PROMISE_S = 1.0
GUEST = full("fe9")
"""A front end that the topology knows and that is played here, so that its links can be watched."""


def rename(domains: list[str], document: dict[str, Any]) -> None:
    """Give the draft other SIP domains, so that there is something to publish."""
    document["sip_domains"] = domains


def published(run: Fleet, times: int) -> list[float]:
    """Publish so many times; gives how long each took, in seconds."""
    took = []
    for number in range(times):
        domains = ["example.test", f"d{number}.test"]
        run.edit(partial(rename, domains))
        told = run.publish(f"measured, {number}")
        if told["missing"]:
            raise MeasurementError(f"not acknowledged by {', '.join(told['missing'])}")
        took.append(told["took_s"])
    return took


class Guest:
    """The front end that is played here: it has a link to every server that it may come to, and one from management."""

    def __init__(self, run: Fleet) -> None:
        self._run, self._made = run, 0
        self._servers = [server for server in run.running if server != MGMT]
        self._door = socket.create_server((run.addresses[GUEST], SERVER_PORT))
        self._door.settimeout(LONGEST_S)

    def close(self) -> None:
        """Stop listening."""
        self._door.close()

    def typed(self, serial: int) -> None:
        """Revoke as an operator does."""
        self._run.type("ca", "revoke", "--serial", f"{serial:x}", anew=True)

    def signed(self, serial: int) -> None:
        """Write the new CRL without a notification: management sees that its file has changed."""
        EnterpriseCa.open(self._run.main / "ca").revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))

    def outlived(self, revoke: Callable[[int], None]) -> float:
        """Come with a new certificate, have it revoked, and tell how long the last of its links outlives that."""
        credentials, serial = self._papers()
        with ExitStack() as stack:
            links = [stack.enter_context(self._link(server, credentials)) for server in self._servers]
            links.append(stack.enter_context(self._let_in(credentials)))
            others = self._others()
            pool = stack.enter_context(ThreadPoolExecutor(len(links)))
            ends: list[Future[float]] = [pool.submit(_fell_at, link) for link in links]
            began = time.monotonic()
            revoke(serial)
            last = max(end.result() for end in ends)
            if not others <= self._others():
                raise MeasurementError("a link fell that stands on another certificate")
            return last - began

    def _papers(self) -> tuple[tuple[Path, Path], int]:
        main = self._run.main
        names = certificate_names(load(main / "topology.yaml").topology, GUEST)
        issued = EnterpriseCa.open(main / "ca").issue(names, Role.FRONT_END, datetime.now(UTC))
        self._made += 1
        credentials = self._run.folder / f"guest{self._made}.pem", self._run.folder / f"guest{self._made}.key"
        issued.write(*credentials)
        return credentials, issued.certificate.serial_number

    def _link(self, server: str, credentials: tuple[Path, Path]) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*credentials)
        plain = socket.create_connection((self._run.addresses[server], SERVER_PORT), timeout=LONGEST_S)
        link = context.wrap_socket(plain)
        self._must_know(server)
        return link

    def _let_in(self, credentials: tuple[Path, Path]) -> ssl.SSLSocket:
        """Take the link that management opens; it may still be busy with one under the certificate before."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*credentials)
        end = time.monotonic() + 2 * LONGEST_S
        while time.monotonic() < end:
            plain, _ = self._door.accept()
            plain.settimeout(LONGEST_S)
            try:
                link = context.wrap_socket(plain, server_side=True)
                self._must_know(MGMT)
            except (OSError, MeasurementError):
                plain.close()
            else:
                return link
        raise MeasurementError("management does not come")

    def _must_know(self, server: str) -> None:
        """Wait until a server has let us in."""
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            if any(one["peer"] == GUEST and one["code"] == "accepted" for one in self._links(server)):
                return
            time.sleep(0.02)
        raise MeasurementError(f"{server} does not let us in")

    def _links(self, server: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._run.ask(server, "links")
        return found

    def _others(self) -> set[str]:
        """The links of all servers that are not ours and not on their way."""
        return {
            f"{server} {one['id']}"
            for server in self._run.running
            for one in self._links(server)
            if one["peer"] != GUEST and one["state"] == "up"
        }


def _fell_at(link: ssl.SSLSocket) -> float:
    try:
        while link.recv(65_536):
            pass
    except TimeoutError:
        raise MeasurementError(f"a link is still up after {LONGEST_S:g} s") from None
    except OSError:
        pass
    return time.monotonic()


def revoked(run: Fleet, times: int) -> dict[str, list[float]]:
    """Revoke so many certificates that have links everywhere, in each way; gives how long the last link of each outlives that."""
    run.grow((("pool1", "front-end", ("fe9",), ""),))
    run.publish("a guest", wait_s=0)
    guest = Guest(run)
    try:
        ways = {"ca revoke, as typed": guest.typed, "revoked by the CA alone": guest.signed}
        return {way: [guest.outlived(revoke) for _ in range(times)] for way, revoke in ways.items()}
    finally:
        guest.close()


def _tell(what: str, took: list[float], promise_s: float) -> bool:
    median, worst = statistics.median(took), max(took)
    kept = worst <= promise_s
    told = f"{what}: {median:.3f} s (median), {worst:.3f} s (worst of {len(took)}); promised: {promise_s:g} s"
    sys.stdout.write(f"{told}\n    {' '.join(f'{one:.3f}' for one in took)}\n")
    return kept


def main() -> int:
    """Measure and tell; the exit status is 1 where a run broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="four servers instead of eight")
    parser.add_argument("--growth", action="store_true", help="how the cost grows with the network, instead")
    parser.add_argument("--servers", type=int, nargs="*", default=SERVERS, help="with --growth: the sizes")
    parser.add_argument("--partners", type=int, nargs="*", default=PARTNERS, help="with --growth: the sizes")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="with --growth: each act; the least time counts")
    given = parser.parse_args()
    if given.growth:
        with tempfile.TemporaryDirectory(prefix="sipmesh-size-") as folder:
            sys.stdout.write(measure_size(Path(folder), tuple(given.servers), tuple(given.partners), given.repeats))
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="sipmesh-fleet-") as folder,
        fleet(Path(folder) / "o", SMALL if given.small else WHOLE) as run,
    ):
        count = len(run.running)
        took = published(run, given.runs)
        kept = [_tell(f"publish, until in force on all {count} servers and acknowledged", took, PUBLISH_PROMISE_S)]
        for way, outlived in revoked(run, given.runs).items():
            kept.append(_tell(f"{way}, until the last link is down on all {count} servers", outlived, REVOKE_PROMISE_S))
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
