"""A leader of a management pool that ends, or is stopped, at each step of a change of the root; the other server goes on.

Run as a program: the folders of both hosts, the URL of the database, the step of the change, and the signal. Each process acts
as the first server, and sends itself the signal at a statement of the database, at a commit, or before a file gets its name. The
other server takes over, and finishes the change, while the first one follows. The program prints how each process ended. It fails
if a server cannot issue, sign or follow, or if a revocation is lost.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.own_renewal import finish_own, renew_own, show_own
from sipmesh.server.management.pool.file_replication import FileGiver, FileReceiver
from sipmesh.server.management.publishing.publish import OF_HOST, PublishRequest, publish
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.topology.document.changes import add_root, remove_root
from sipmesh.topology.versions.publication import Draft
from sipmesh.topology.view import ServerView, view
from support.managed import MGMT, MGMT2
from support.management_steps import MOST_STEPS, REFUSED, Host, end_transactions, ending_at

NAMED: Final = "os.rename"
"""The moment before a file or a folder gets its name."""

MOMENTS: Final = ("commit", NAMED)
"""What changes something that stays; the statements before a commit do not."""

MOST_LOOKS: Final = 4
"""How often a server that follows looks, until it has everything."""

STEPS: Final = ("prepare", "activate", "switch", "retire")


def names_of(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The anchor and the CRLs of the generation in *folder*, as a topology names them."""
    place = "ca" if folder.name == "ca" else f"ca/{folder.name}"
    return f"{place}/root.pem", (f"{place}/root.crl", f"{place}/issuing.crl")


def _without(text: str, names: tuple[str, tuple[str, ...]], file: Path) -> str:
    return remove_root(text, *names, file)


@dataclass
class RootHost(Host):
    """A management server that changes the root."""

    @property
    def view(self) -> ServerView:
        """This server, in the version in force."""
        return view(self.versions.load(), self.name)

    def lead(self) -> None:
        """Take over, and show the chain of the present generation."""
        super().lead()
        self.renew()

    def renew(self) -> None:
        """Do what a server does after a step."""
        renew_own(self.view, self.folder / "ca", datetime.now(UTC))
        show_own(self.view, self.folder / "ca")

    def publish_with(self, change: Callable[[str], str], why: str) -> None:
        """Publish the version in force with a change."""
        at, before, old = datetime.now(UTC), self.versions.load(), self.versions.publication()
        draft = Draft.read(change(old.topology).encode(), self.folder / "topology.yaml")
        request = PublishRequest(draft, "ada", why, at, before.number, force=True, role=OF_HOST)
        made = publish(self.versions, request, view(before, self.name), before).version
        self.versions.accept(self.database.history.get(made.number), before, at)

    def prepare(self) -> None:
        """Prepare a root, and publish it."""
        made = self.generations.next or self.generations.prepare(datetime.now(UTC))
        made = made if self.generations.is_vouched_for else self.generations.prepare(datetime.now(UTC))
        if made.root not in self.versions.load().authority.anchors:
            self.publish_with(lambda text: add_root(text, *names_of(made.folder)), "a new root")

    def activate(self) -> None:
        """Let the prepared generation issue."""
        if self.generations.next is not None:
            self.generations.activate()
        self.renew()

    def switch(self) -> None:
        """Present the new root only."""
        self.generations.switch()
        self.renew()

    def retire(self) -> None:
        """Remove the old roots from the topology, and retire them."""
        file = self.folder / "topology.yaml"
        for number in self.generations.old:
            folder = self.generations.folder_of(number)
            anchor, crls = names_of(folder)
            if self.generations.open(number).root in self.versions.load().authority.anchors:
                self.publish_with(partial(_without, names=(anchor, crls), file=file), "the old root goes")
            self.generations.retire(number)

    def give(self) -> None:
        """Seal the CA for the other server, as the leader does each second."""
        FileGiver(self.database).give(self.view)

    def follow(self) -> None:
        """Put in force what the leader has published, and store what it has sealed, as a server that follows does each second."""
        faults: list[str] = []
        for _ in range(MOST_LOOKS):
            self.versions = PublishedVersion(self.database, DocumentStore(self.folder, self.name))
            self.versions.begin()
            finish_own(self.view, self.folder / "ca")
            self.versions.catch_up(self.versions.load(), datetime.now(UTC))
            faults = [fault] if (fault := self.versions.fault) else []
            try:
                receiver = FileReceiver(self.database, self.versions.documents)
                receiver.receive(self.versions.load(), self.view.certificate, self.view.key)
            except (OperatorError, RemoteError) as wrong:
                faults.append(str(wrong))
            if not faults:
                return
        raise AssertionError(faults)

    def check(self, revoked: set[int]) -> None:
        """Check that this server can issue, and that its certificates count: nothing that was acknowledged is lost."""
        loaded, generations = self.versions.load(), CaGenerations(self.folder / "ca")
        roots = {root.fingerprint(root.signature_hash_algorithm) for root in loaded.authority.anchors}  # type: ignore[arg-type]
        alive = generations.alive
        assert any(ca.root.fingerprint(ca.root.signature_hash_algorithm) in roots for ca in alive)  # type: ignore[arg-type]
        shown = x509.load_pem_x509_certificates(self.view.certificate.read_bytes())[0]
        assert generations.has_issued(shown)
        for ca in alive:
            assert ca.crls.in_force().is_there
        for record in (record for record in generations.records() if record.serial in revoked):
            owner = generations.owner_of(record.serial)
            assert owner.crls.in_force().lists(record.serial) or owner not in alive


@dataclass
class Change:
    """Both servers. The first ends in *act*, and *how*."""

    first: RootHost
    second: RootHost
    act: str
    how: signal.Signals
    revoked: set[int] = field(default_factory=set)

    def run(self, moment: str, step: int) -> str:
        """Change the root once: the first server ends at a step, and the second finishes; returns how the first ended."""
        first, second = self.first, self.second
        first.lead()
        for name in ("", *STEPS[: STEPS.index(self.act)]):
            if name:
                getattr(first, name)()
            first.give()
            second.follow()
        serial = first.issue()
        first.revoke(serial)
        self.revoked = {serial}  # those before were checked after their change
        process = self._begun(moment, step)
        _, status = os.waitpid(process, os.WUNTRACED)
        is_done = os.WIFEXITED(status)
        leader, other = (first, second) if is_done else (second, first)
        if is_done:
            leader.catch_up()
        else:
            end_transactions(leader.url)
            leader.lead()
        self._finish(leader, other)
        is_stopped = os.WIFSTOPPED(status)
        if is_stopped:
            os.kill(process, signal.SIGCONT)
            _, status = os.waitpid(process, 0)
        self._follow(leader, other)
        self._check(leader, other)
        if os.WIFSIGNALED(status):
            return "killed"
        return f"{'late' if is_stopped else 'exited'} {os.waitstatus_to_exitcode(status)}"

    def _begun(self, moment: str, step: int) -> int:
        if (process := os.fork()) == 0:
            die_with_parent()
            with ending_at_name(step, self.how) if moment == NAMED else ending_at(moment, step, self.how):
                try:
                    getattr(self.first, self.act)()
                except (OperatorError, RemoteError):
                    os._exit(REFUSED)
            os._exit(0)
        return process

    def _finish(self, leader: RootHost, other: RootHost) -> None:
        """Take each step that is left, with an issued and a revoked certificate after each; the other server follows."""
        before = leader.generations.number
        for name in STEPS:
            if name != "prepare" or (leader.generations.number == before and not leader.generations.old):
                getattr(leader, name)()
            serial = leader.issue()
            leader.revoke(serial)
            self.revoked.add(serial)
            leader.give()
            self._follow(leader, other)

    def _follow(self, leader: RootHost, other: RootHost) -> None:
        """Let the other server follow: it starts again, also after an end between its new certificate and the new key."""
        leader.give()
        other.follow()

    def _check(self, leader: RootHost, other: RootHost) -> None:
        for host in (leader, other):
            host.check(self.revoked)
        assert leader.generations.number == other.generations.number
        roots = [host.generations.current.root for host in (leader, other)]
        assert roots[0] == roots[1]
        assert leader.generations.old == []


@contextmanager
def ending_at_name(step: int, how: signal.Signals) -> Iterator[None]:
    """Send a signal to this process before the *step*-th file or folder gets its name."""
    left = [step]

    def look(event: str, _: object) -> None:
        if event == NAMED:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), how)

    sys.addaudithook(look)
    yield


def main(first: str, second: str, url: str, act: str, how: str) -> None:
    """Take one step of the change, and end in it everywhere."""
    hosts = RootHost(Path(first), url, MGMT), RootHost(Path(second), url, MGMT2)
    change = Change(*hosts, act, signal.Signals[how])
    for moment in MOMENTS:
        for step in range(1, MOST_STEPS):
            ended = change.run(moment, step)
            os.write(1, f"{moment} {step} {ended}\n".encode())
            if ended == "exited 0":
                break
    assert hosts[1].database.history.verify() == []


if __name__ == "__main__":
    main(*sys.argv[1:])
