"""What management sends: documents that come late, what the processes of a server know, and what each server has at rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simulation.leaders import number_on_disk
from simulation.organisations import FRONT_ENDS, MANAGED, MANAGERS, WORKERS
from simulation.processes import CURRENT, Process, ProcessState
from simulation.workers import workers_of
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import RemoteError
from sipmesh.server.agent.document_applier import DocumentApplier
from sipmesh.server.replication.crl_store import CrlStore
from sipmesh.topology.document.named_files.crl_cache import read_content

if TYPE_CHECKING:
    from pathlib import Path

    from simulation.server import Server
    from simulation.world import World
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.revocation.crl import RevocationList

KNOWN_S: Final = 4.0
"""Within this time one process of a server knows what another one knows."""

Receive = Callable[[DocumentApplier, str, Item], None]


class Documents:
    """The documents that each server has received over all its runs, from which a late one is chosen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._received: dict[str, list[Item]] = {}
        self._appliers: dict[str, tuple[Process, DocumentApplier]] = {}
        self._newest_crl: dict[tuple[str, bytes], int] = {}
        self._wrong_since: dict[tuple[object, ...], float] = {}
        self._newest_stored: dict[tuple[str, str], int] = {}
        self._read: dict[bytes, RevocationList] = {}

    # Late documents

    def told(self, receive: Receive) -> Receive:
        """Return *receive* that keeps each document which a server receives."""

        def tell(applier: DocumentApplier, peer: str, item: Item) -> None:
            process = CURRENT.get()
            assert process is not None
            self._appliers[process.name] = process, applier
            self._received.setdefault(process.name, []).append(item)
            receive(applier, peer, item)
            if process.alive:
                self.world.accounts.received(self.world.servers[process.name])

        return tell

    def started(self, server: Server, node: RunningServer) -> None:
        """A server has started: the CRLs that it begins with may come again, too."""
        if server.name in MANAGED and server.name not in self._received:
            self._received[server.name] = list(CrlStore(self.world.folders.of(server.name)).items(node.view.loaded))

    def deliver_late(self, name: str, draw: float) -> None:
        """Let a server receive a document again that it has received long ago, as from a leader that was overtaken."""
        process, applier = self._appliers.get(name, (None, None))
        if process is not self.world.servers[name].process or process.state is not ProcessState.RUNNING:
            return
        assert applier is not None
        item = _older_one(self._received[name], draw)
        self.world.tell(name, "receives late", f"{item.kind} {item.name} {item.digest[:8]}")
        self.world.inside(self.world.servers[name], self._receive, applier, item)

    @staticmethod
    def _receive(applier: DocumentApplier, item: Item) -> None:
        with suppress(RemoteError):
            applier.receive(MANAGERS[0], item)

    # At each second

    def each_second(self) -> None:
        """No CRL becomes older, nothing that was revoked counts again, and the processes of a server know the same."""
        for server, node in self.world.nodes():
            if server.name in MANAGED and not server.process.number:
                self._crls_rise(server, node)
                self._stored_crls_rise(server, node)
                for worker in workers_of(server):
                    if worker.node is not None:
                        self._knows(server, node, worker, worker.node)

    def _crls_rise(self, server: Server, node: RunningServer) -> None:
        for issuer, number in _crls_of(node.view.loaded).items():
            before = self._newest_crl.get((server.name, issuer), 0)
            if number < before:
                self.world.violated("no older CRL", f"{server.name} has number {number} after {before}")
            self._newest_crl[server.name, issuer] = max(number, before)
        lists = node.view.loaded.authority.lists
        for issuer, serial in node.revocation.pushed:
            if not any(serial in crl.serials for crl in lists.of(issuer)):
                self.world.violated("what was revoked stays refused", f"{serial:x} on {server.name}")

    def _stored_crls_rise(self, server: Server, node: RunningServer) -> None:
        """No CRL on the disk becomes older either: the next start, and the next version, begin with it."""
        folder = self.world.folders.of(server.name)
        for name in node.view.loaded.list_names:
            stored = self._content_of(folder / name)
            number = stored.number if stored is not None else 0
            before = self._newest_stored.get((server.name, name), 0)
            if number < before:
                self.world.violated(
                    "no older CRL", f"{server.name} has stored number {number} of {name} after {before}"
                )
            self._newest_stored[server.name, name] = max(number, before)

    def _content_of(self, file: Path) -> RevocationList | None:
        content = file.read_bytes() if file.exists() else b""
        if content and content not in self._read:
            self._read[content] = read_content(content)
        return self._read.get(content)

    def _knows(self, server: Server, node: RunningServer, worker: Server, of_worker: RunningServer) -> None:
        """A worker has the users and the revocations of its supervisor, and the supervisor knows its links and no others."""
        who = f"worker {worker.process.number} of {server.name}"
        missing = node.revocation.pushed.keys() - of_worker.revocation.pushed.keys()
        self._must_end("each worker knows what is revoked", f"{who} lacks {len(missing)}", server, wrong=bool(missing))
        has, must = of_worker.user_updates.number, node.user_updates.number
        self._must_end("each worker knows the users", f"{who} has {has}, not {must}", server, wrong=has != must)
        if of_worker.siblings is None:
            return
        others = [one.node for one in workers_of(server) if one.node is not None and one is not worker]
        flows = [flow for one in others for flow in one.flow_table.sessions() if flow.link.is_here]
        links = {flow.number for flow in flows} | {link.number for one in (*others, node) for link in one.reactor.links}
        usable = {flow.number for flow in flows if flow.sender is not None and flow.link.usable}
        known = {link.number for link in of_worker.siblings.remote.links.values()}
        for number in known - links:
            self._must_end("no link of a dead worker", f"{who} knows link {number}", server, wrong=True)
        for number in usable - known:
            self._must_end("each worker knows the links of the others", f"{who} lacks {number}", server, wrong=True)

    def _must_end(self, rule: str, what: str, server: Server, *, wrong: bool) -> None:
        """Note what is *wrong* now; it is a violation once it has been so for long, and nothing has slowed the server."""
        now, key = self.world.loop.now, (rule, what)
        slow = any(one.process.slow_s or one.process.hung_until > now - KNOWN_S for one in (server, *server.workers))
        slow = slow or any(one.process.state is not ProcessState.RUNNING for one in (server, *server.workers))
        if not wrong or slow:
            self._wrong_since.pop(key, None)
        elif now - self._wrong_since.setdefault(key, now) > KNOWN_S:
            self.world.violated(rule, what)

    # At rest

    def at_rest(self) -> None:
        """Each server has the newest version, CRLs and fencing number, and all its workers."""
        leader = self.world.leader
        if leader is None or leader[0].node is None:
            return
        newest, number = leader[1].newest, leader[1].management_db.lease.fencing
        crls = _crls_of(leader[0].node.view.loaded)
        for server, node in self.world.nodes():
            if server.name not in (*MANAGED, *MANAGERS):
                continue
            loaded = node.view.loaded
            if loaded.number != newest:
                self.world.violated(
                    "each server has the newest version", f"{server.name}: {loaded.number}, not {newest}"
                )
            if server.name in MANAGED and _crls_of(loaded) != crls:
                self.world.violated("each server has the newest CRLs", f"{server.name} {server.process.number}")
            if server.name in FRONT_ENDS:
                self._has_fencing(server, number)
        self._has_workers()

    def _has_fencing(self, server: Server, number: int) -> None:
        stored = number_on_disk(self.world, server.name)
        if stored != number:
            what = f"{server.name} has {stored}, and the leader {number}"
            self.world.violated("each server has the newest fencing number", what)

    def _has_workers(self) -> None:
        for name, count in WORKERS.items():
            working = [worker for worker in workers_of(self.world.servers[name]) if worker.node is not None]
            if len(working) != count:
                self.world.violated("each worker is replaced", f"{len(working)} of {count} at {name}")


def _crls_of(loaded: Loaded) -> dict[bytes, int]:
    """Return the numbers of the newest CRLs of our own authority, by their issuers."""
    found: dict[bytes, int] = {}
    for crl in loaded.authority.lists:
        found[crl.issuer_der] = max(crl.number, found.get(crl.issuer_der, 0))
    return found


def _older_one(received: list[Item], draw: float) -> Item:
    """Choose a document that a server has received and that a newer one has followed, if there is one; each kind as often."""
    by_key: dict[tuple[ItemKind, str], list[Item]] = {}
    for item in received:
        if item.kind not in {ItemKind.CERTIFICATE, ItemKind.PROBE}:
            before = by_key.setdefault((item.kind, item.name), [])
            if not before or before[-1].digest != item.digest:
                before.append(item)
    followed = {key: items[:-1] for key, items in by_key.items() if len(items) > 1} or by_key
    kinds = sorted({kind for kind, _ in followed})
    kind, rest = kinds[int(len(kinds) * draw)], len(kinds) * draw % 1.0
    of_kind = [item for key, items in followed.items() if key[0] is kind for item in items]
    return of_kind[int(len(of_kind) * rest)]
