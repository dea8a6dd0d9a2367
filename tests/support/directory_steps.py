"""The leader of a management pool ends, or is stopped, at each step of a sync of the directory; the other server takes over.

Run as a program: the topologies of both hosts, the URL of the database, the socket of the directory, and the signal. Each step
has a process of its own, as in `support.management_steps`. It prints how each of them ended. It fails if a user is lost or there
twice, if a user has access whose entry is gone, or if a change has no line in the audit log.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sipmesh.errors import OperatorError
from sipmesh.server.directory.sync import DirectorySync, Looked
from sipmesh.server.management.directory_sync import directory_sync
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.storage.users.directory_entry import StepKind
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import Loaded, load
from support.managed import MGMT, MGMT2
from support.management_steps import REFUSED, Host, end_transactions, ending_at
from support.openldap import PEOPLE, LdapAdministrator

MOMENTS: Final = ("before_cursor_execute", "commit")
"""After a statement is before the next one, or at a commit."""

MOST_STEPS: Final = 200
LOCAL: Final = frozenset({"alice", "bob"})
WHO: Final = "directory"
KIND: Final = "directory"


@dataclass
class SyncingHost:
    """One management server of the pool, with the topology that names the directory."""

    host: Host
    loaded: Loaded

    @contextmanager
    def syncing(self) -> Iterator[DirectorySync]:
        """What one sync needs."""
        users = Users(self.loaded.users_url, in_memory=False)
        try:
            yield directory_sync(self.loaded, users, self.host.database, WHO)
        finally:
            users.close()

    def sync(self) -> Counter[StepKind]:
        """Sync as the leader does; returns how many steps were taken."""
        with self.syncing() as sync, sync.alone():
            taken = sync.take(sync.look(at := datetime.now(UTC)), at)
        assert not taken.conflicts, taken.conflicts
        return Counter(taken.steps)


@dataclass
class Syncs:
    """Both servers and the directory. *people* are the entries, *changes* what the users have gone through, since the begin."""

    first: SyncingHost
    second: SyncingHost
    ldap: LdapAdministrator
    how: signal.Signals
    people: list[str] = field(default_factory=list)
    changes: set[tuple[str, str]] = field(default_factory=set)
    round: int = 0

    def run(self, moment: str, step: int) -> str:
        """Let the first server end at a step of a sync, and let the second finish it; returns how the first one ended."""
        self.first.host.lead()
        self._change()
        process = self._begun(moment, step)
        _, status = os.waitpid(process, os.WUNTRACED)
        if os.WIFEXITED(status):
            self._check()
            return f"exited {os.waitstatus_to_exitcode(status)}"
        end_transactions(self.second.host.url)
        self._lose()
        self.second.host.lead()
        self.second.sync()
        if os.WIFSTOPPED(status):
            os.kill(process, signal.SIGCONT)
            _, status = os.waitpid(process, 0)
        self._check()
        assert not self.second.sync(), "the sync of the second was the whole"
        return "killed" if os.WIFSIGNALED(status) else f"late {os.waitstatus_to_exitcode(status)}"

    def _change(self) -> None:
        """Add three people, rename one, and remove one: of those from rounds before, if there are any."""
        self.round += 1
        for letter in "abc":
            self._add(f"{letter}{self.round}")
        if self.round > 1:
            old = f"a{self.round - 1}"
            self.ldap.rename(f"uid={old},{PEOPLE}", f"r{self.round}")
            self.people[self.people.index(old)] = f"r{self.round}"
            self.changes.add((f"r{self.round}", StepKind.RENAME))
            self._remove(f"b{self.round - 1}")
            self.changes.add((f"b{self.round - 1}", StepKind.DISABLE))

    def _lose(self) -> None:
        """Remove one of the new people while the first server is stopped: its late step must not give access."""
        self._remove(f"c{self.round}")

    def _add(self, uid: str) -> None:
        self.ldap.person(uid, telephoneNumber=f"+49{ord(uid[0])}{uid[1:]}")
        self.people.append(uid)
        if uid[0] != "c":
            self.changes.add((uid, StepKind.ADD))

    def _remove(self, uid: str) -> None:
        self.ldap.delete(f"uid={uid},{PEOPLE}")
        self.people.remove(uid)

    def _begun(self, moment: str, step: int) -> int:
        """Start the process of a step. It looks at the directory first: what is ended is what it changes."""
        if (process := os.fork()) == 0:
            die_with_parent()
            with self.first.syncing() as sync, sync.alone():
                looked, at = sync.look(datetime.now(UTC)), datetime.now(UTC)
                os._exit(self._taken(sync, looked, at, moment, step))
        return process

    def _taken(self, sync: DirectorySync, looked: Looked, at: datetime, moment: str, step: int) -> int:
        with ending_at(moment, step, self.how):
            try:
                taken = sync.take(looked, at)
            except OperatorError:
                return REFUSED
        return REFUSED if taken.conflicts else 0

    def _check(self) -> None:
        """Compare the users, and the lines of the audit log, with the entries."""
        users = Users(self.second.loaded.users_url, in_memory=False)
        found = users.list()
        users.close()
        names = [user.aor.removeprefix("sip:").partition("@")[0] for user in found]
        assert len(names) == len(set(names))
        with_access = {name for name, user in zip(names, found, strict=True) if user.disabled is None}
        assert with_access == {*LOCAL, *self.people}, with_access ^ {*LOCAL, *self.people}
        lines = self.lines()
        assert self.changes <= lines.keys(), self.changes - lines.keys()
        assert self.second.host.database.audit.verify() == []

    def lines(self) -> Counter[tuple[str, str]]:
        """Count the lines of the audit log about each change of each user."""
        lines = self.second.host.database.audit.read()
        named = (
            (str(line.about["user"]).partition("@")[0], line.about["directory"]) for line in lines if KIND in line.about
        )
        return Counter(named)


def main(first: str, second: str, url: str, socket: str, how: str) -> None:
    """Sync at all steps."""
    hosts = [
        SyncingHost(Host(Path(file).parent, url, name), load(Path(file)))
        for file, name in ((first, MGMT), (second, MGMT2))
    ]
    syncs = Syncs(hosts[0], hosts[1], LdapAdministrator(socket), signal.Signals[how])
    for moment in MOMENTS:
        for step in range(1, MOST_STEPS):
            ended = syncs.run(moment, step)
            os.write(1, f"{moment} {step} {ended}\n".encode())
            if ended == "exited 0":
                break
    doubled = sum(count - 1 for count in syncs.lines().values())
    os.write(1, f"lines twice: {doubled}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
