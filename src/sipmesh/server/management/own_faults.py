"""What is wrong with management itself: its pool, its databases, its CA, and what it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.management.peer_statuses import CALL_RECORDS, MANAGEMENT_DATABASE, own_store_fault
from sipmesh.server.management.replies import ManagerReply
from sipmesh.server.management.server_faults import CLOCKS_DIFFER_S, Fault, clock_fault
from sipmesh.server.management.server_reports import SILENT_S
from sipmesh.server.replication.crl_store import LARGEST_GIVEN, too_large
from sipmesh.server.replication.document_store import signers_of
from sipmesh.storage.seen_users import GO_ON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipmesh.database.lease import PoolMember
    from sipmesh.distribution.notifier import Notifier
    from sipmesh.server.management.directory_follower import DirectoryFollower
    from sipmesh.server.management.issuing import Issuing
    from sipmesh.server.management.network_calls import NetworkCalls
    from sipmesh.server.management.offers import Offers
    from sipmesh.server.management.pool.file_exchange import FileExchange
    from sipmesh.server.management.pool.leadership import Leadership
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.replication.published_version import PublishedVersion

THEN: Final = {
    CALL_RECORDS: "the servers keep the records, and deliver them by themselves",
    MANAGEMENT_DATABASE: "nothing can be published or revoked until it answers",
}
"""What follows when a database of management answers again, or until then."""


class OwnFaults:
    """The faults of the management server *server* and of its pool, each with the remedy."""

    def __init__(
        self,
        server: ManagementServer,
        versions: PublishedVersion,
        leadership: Leadership,
        files: FileExchange,
        issuing: Issuing,
        offers: Offers,
        notifier: Notifier,
        calls: NetworkCalls,
        directory: DirectoryFollower,
    ) -> None:
        self._server, self._versions, self._leadership, self._files = server, versions, leadership, files
        self._issuing, self._offers, self._notifier = issuing, offers, notifier
        self._calls, self._directory = calls, directory

    def managers(self) -> list[ManagerReply]:
        """Return the servers of the management pool, as they have said of themselves; empty if there is only this one."""
        return [ManagerReply(one.server, one.fencing, one.version, round(one.heard_s, 1)) for one in self._members()]

    def _members(self) -> Iterator[PoolMember]:
        named = signers_of(self._server.view.loaded)
        return (member for member in self._leadership.members if member.server in named)

    def clocks_s(self) -> dict[str, float]:
        """Return the seconds by which the clocks of the other servers of the pool that have reported lately are ahead of ours."""
        ahead_s = {member.server: member.ahead_s for member in self._members() if member.heard_s <= SILENT_S}
        ours_s = ahead_s.pop(self._server.view.name, None)
        return {} if ours_s is None else {server: its_s - ours_s for server, its_s in ahead_s.items()}

    def of_databases(self) -> Mapping[str, Fault]:
        """Return why the databases of management cannot be used, by their names; a database that has two uses is one fault."""
        by, storage = (self._server.view.name,), self._server.view.loaded.topology.storage
        whys = [(CALL_RECORDS, self._calls.store_fault), (MANAGEMENT_DATABASE, self._leadership.fault)]
        if storage.calls == storage.management:
            whys[0] = (MANAGEMENT_DATABASE, self._calls.store_fault)
        return {name: own_store_fault(why, by, THEN[name]) for name, why in whys if why}

    def of_pool(self) -> Sequence[Fault]:
        """Return what is wrong with the management pool."""
        return [
            *self._of_files(),
            *self._calls.faults(),
            *self._directory.faults(),
            *self._of_database(),
            *self._of_hosts(),
        ]

    def _of_files(self) -> Iterator[Fault]:
        """The files are exchanged through the database: while it is away, it has the fault."""
        if self._files.fault and not self._leadership.fault:
            yield Fault(self._files.fault, "until then another server cannot take over")

    def _of_database(self) -> Iterator[Fault]:
        """Give what the database has lost, or what was changed in it without us."""
        if self._issuing.ledger_fault:
            what = f"the CA's ledger was changed: {self._issuing.ledger_fault}"
            yield Fault(what, "find out who can write to it; restore it from your backup")
        users = self._offers.users_number
        for what in (self._versions.lost, self._offers.users_fault):
            if what:
                yield Fault(what, GO_ON)
        for name, number in self._notifier.beyond_users(users).items():
            yield Fault(f"{name} has users of number {number}, which the database, at {users}, lacks", GO_ON)
        if self._versions.fault:
            yield Fault(self._versions.fault, "ask who published it; let operators approve it, or publish another")

    def _of_hosts(self) -> Iterator[Fault]:
        """Give what keeps a file, or a server of the pool, from its place."""
        for name, octets in too_large(self._server.view.loaded):
            what = f"{name} has {octets:,} octets, and is not sent to servers: at most {LARGEST_GIVEN:,} are"
            yield Fault(what, "put it on a web server, and name its URL in `crls` in place of the file")
        for server in self._files.waiting if self._leadership.leads else ():
            what = f"{server} is a management server of the topology, and gets no file of the CA: it is not admitted"
            yield Fault(what, f"sipmesh management join {server} shows on its host what to admit: sipmesh ca admit")
        yield from self._of_clocks()
        for member in self._members():
            if member.heard_s > SILENT_S:
                what = f"{member.server} of the management pool has said nothing for {member.heard_s:.0f} s"
                yield Fault(what, f"start it on its host: sipmesh serve {member.server}")

    def _of_clocks(self) -> Iterator[Fault]:
        """Give the servers of the pool with another clock than ours: it would be that of the CA, if one of them led."""
        for server, ahead_s in self.clocks_s().items():
            if abs(ahead_s) > CLOCKS_DIFFER_S:
                yield clock_fault(f"the clock of {server} of the management pool", server, ahead_s)
