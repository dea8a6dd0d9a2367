"""A leader of a management pool that ends, or is stopped, at each step of an act; the other server takes over each time.

Run as a program: the folders of both hosts, the URL of the database, the act, and the signal. Each step has a process of its own
that acts as the first server, and sends itself the signal before or after a statement of the database, or at a commit. It prints
how each of them ended. It fails if a number is used twice, if something acknowledged is lost, or if a late act counts.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sql
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.crl.earlier import number_of
from sipmesh.pki.ledger.ledger import FENCED
from sipmesh.server.management.own_renewal import renew_own
from sipmesh.server.management.publishing.publish import OF_HOST, PublishRequest, publish
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft
from sipmesh.topology.view import certificate_names, view
from sipmesh.trust.role import Role
from support.managed import MGMT, MGMT2
from support.network import FE1

MOMENTS: Final = ("before_cursor_execute", "after_cursor_execute", "commit")
REFUSED: Final = 3
"""The exit code of a process whose act was refused."""

MOST_STEPS: Final = 60


KEEPS_LOCKS: Final = "options=-c%20idle_in_transaction_session_timeout%3D0"
"""A process that is only slow keeps its locks; those of a stopped one are ended by `end_transactions`."""

_END_TRANSACTIONS: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND starts_with(state, 'idle in transaction')"""


def end_transactions(url: str) -> None:
    """End each transaction of a stopped process, as PostgreSQL does after `DatabaseTimeouts.idle_s`.

    The event takes the place of the time, which a process that is only slow could exceed.
    """
    engine = sql.create_engine(url, poolclass=sql.NullPool)
    with engine.begin() as db:
        db.exec_driver_sql(_END_TRANSACTIONS)
    engine.dispose()


@dataclass
class Host:
    """One management server: its *folder*, and what it has done."""

    folder: Path
    url: str
    name: str
    database: ManagementDb = field(init=False)
    versions: PublishedVersion = field(init=False)

    def __post_init__(self) -> None:
        self.database = ManagementDb(self.folder, SharedDatabase(self.url, self.name))
        self.versions = PublishedVersion(self.database, DocumentStore(self.folder, self.name))

    def lead(self) -> None:
        """Take over: the lease of the leader before has expired, and its locks are gone."""
        engine = sql.create_engine(self.url, poolclass=sql.NullPool)
        with engine.begin() as db:
            db.exec_driver_sql("UPDATE management_lease SET until = 0")
        engine.dispose()
        assert self.database.lease.claim()
        self.catch_up()
        renew_own(view(self.versions.load(), self.name), self.folder / "ca", datetime.now(UTC))

    def catch_up(self) -> int:
        """Put the newest version in force that counts here; returns its number."""
        self.versions = PublishedVersion(self.database, DocumentStore(self.folder, self.name))
        self.versions.begin()
        number = self.versions.catch_up(self.versions.load(), datetime.now(UTC)).number
        assert self.versions.fault == ""
        return number

    def publish(self, why: str) -> int:
        """Publish the version in force again; returns its number."""
        at, before, old = datetime.now(UTC), self.versions.load(), self.versions.publication()
        draft = Draft(load_published(old, self.folder), old.topology, old.files)
        request = PublishRequest(draft, "ada", why, at, before.number, role=OF_HOST)
        made = publish(self.versions, request, view(before, self.name), before).version
        self.versions.accept(self.database.history.get(made.number), before, at)
        return made.number

    def issue(self) -> int:
        """Renew the certificate of a front end; returns its serial number."""
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        names = certificate_names(self.versions.load().topology, FE1)
        return self.generations.current.certify(names, Role.FRONT_END, key, datetime.now(UTC)).certificate.serial_number

    def revoke(self, serial: int) -> int:
        """Revoke a certificate; returns its serial number."""
        self.generations.current.revoke(serial, Reason.SUPERSEDED, datetime.now(UTC))
        return serial

    @property
    def generations(self) -> CaGenerations:
        return CaGenerations(self.folder / "ca")

    @property
    def crl(self) -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl((self.folder / "ca" / "issuing.crl").read_bytes())

    def revoked(self) -> set[int]:
        """What the ledger has as revoked."""
        return {record.serial for record in self.generations.records() if record.revoked_at is not None}


@dataclass
class Pool:
    """Both servers, and what was acknowledged. *act* is done by the first at each step, and *how* it ends."""

    first: Host
    second: Host
    act: str
    how: signal.Signals
    published: dict[int, str] = field(default_factory=dict)
    revoked: set[int] = field(default_factory=set)
    issued: set[int] = field(default_factory=set)
    crls: dict[int, bytes] = field(default_factory=dict)

    def run(self, moment: str, step: int) -> str:
        """Let the first server begin its act, end it at a step, and let the second take over; returns how it ended."""
        self.first.lead()
        serial = self.first.issue()
        acts: dict[str, Callable[[], int]] = {
            "publish": lambda: self.first.publish("by the first"),
            "revoke": lambda: self.first.revoke(serial),
            "renew": self.first.issue,
        }
        process, told = self._begun(acts[self.act], moment, step)
        _, status = os.waitpid(process, os.WUNTRACED)
        if os.WIFEXITED(status):
            self._note(told)
            return f"exited {os.waitstatus_to_exitcode(status)}"
        end_transactions(self.second.url)
        self.second.lead()
        number = self.second.publish("by the second")
        self.published[number] = "by the second"
        self.revoked.add(self.second.revoke(self.second.issue()))
        if os.WIFSTOPPED(status):
            os.kill(process, signal.SIGCONT)
            _, status = os.waitpid(process, 0)
        self._note(told)
        self._check()
        return "killed" if os.WIFSIGNALED(status) else f"late {os.waitstatus_to_exitcode(status)}"

    def _begun(self, act: Callable[[], int], moment: str, step: int) -> tuple[int, int]:
        """Start the process of a step; returns its number, and the descriptor from which its acknowledgement is read."""
        told, tell = os.pipe()
        if (process := os.fork()) == 0:
            die_with_parent()
            with ending_at(moment, step, self.how):
                try:
                    os.write(tell, b"%d" % act())
                except OperatorError:
                    os._exit(REFUSED)
            os._exit(0)
        os.close(tell)
        return process, told

    def _note(self, told: int) -> None:
        """Note what a process has acknowledged."""
        with os.fdopen(told) as opened:
            number = int(opened.read() or 0)
        if number and self.act == "publish":
            assert number not in self.published, f"number {number} is used twice"
            self.published[number] = "by the first"
        elif number:
            (self.revoked if self.act == "revoke" else self.issued).add(number)

    def _check(self) -> None:
        """Check that nothing acknowledged is lost, and that no late act counts."""
        history = self.second.database.history.list()
        versions = {version.number: version.why for version in history}
        assert list(versions) == list(range(1, len(versions) + 1))
        assert self.published.items() <= versions.items()
        assert self.second.catch_up() == len(versions)
        assert self.revoked <= self.second.revoked()
        assert self.issued <= {record.serial for record in self.second.generations.records()}
        for host in (self.first, self.second):
            number = number_of(host.crl)
            assert self.crls.setdefault(number, host.crl.fingerprint(host.crl.signature_hash_algorithm)) == (  # type: ignore[arg-type]
                host.crl.fingerprint(host.crl.signature_hash_algorithm)  # type: ignore[arg-type]
            ), f"CRL number {number} is used twice"
        assert number_of(self.first.crl) // FENCED < number_of(self.second.crl) // FENCED
        self.second.generations.current.crls.publish(datetime.now(UTC))
        listed = {entry.serial_number for entry in self.second.crl}
        assert self.revoked <= listed


@contextmanager
def ending_at(moment: str, step: int, how: signal.Signals) -> Iterator[None]:
    """Send a signal to this process at the *step*-th *moment* of its databases."""
    left = [step]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), how)

    sql.event.listen(sql.Engine, moment, count)
    yield


def main(first: str, second: str, url: str, act: str, how: str) -> None:
    """Do one act at all steps."""
    pool = Pool(Host(Path(first), url, MGMT), Host(Path(second), url, MGMT2), act, signal.Signals[how])
    for moment in MOMENTS:
        for step in range(1, MOST_STEPS):
            ended = pool.run(moment, step)
            os.write(1, f"{moment} {step} {ended}\n".encode())
            if ended == "exited 0":
                break
    assert pool.second.database.history.verify() == []


if __name__ == "__main__":
    main(*sys.argv[1:])
