"""One worker: a server without a control plane of its own, which does what its supervisor says."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipmesh.distribution.event import names_package
from sipmesh.errors import LocalError, OperatorError
from sipmesh.server.admin.status_report import status_of
from sipmesh.server.agent.users_at_start import load_users
from sipmesh.server.control_socket import Command
from sipmesh.server.process.file_stamps import stamp
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.proxy.control_plane import ControlPlane
from sipmesh.server.proxy.siblings.channel import BEAT, SUPERVISOR
from sipmesh.server.proxy.siblings.siblings import Siblings
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.service import REPLACE_EVERY_S, WARN_EVERY_S, Service
from sipmesh.server.workers.given_version import GivenVersion, unpacked
from sipmesh.server.workers.held_ports import GivenPorts
from sipmesh.server.workers.orders import Orders
from sipmesh.sip.rows import EVENT
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_document import UserDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.sip.message import Request, Response
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId

LONGEST_WORD: Final = 65_536

SILENT_TICKS: Final = 20
"""Half seconds after which a supervisor that asks nothing hangs: it asks each second, or after 4 s if another worker hangs.

Ticks of this process and not a time: a machine that was stopped as a whole is one tick.
"""


class RemoteControlPlane(ControlPlane):
    """The control plane as a worker has it: requests and responses are for the supervisor, to which each link is announced."""

    def __init__(self, siblings: Siblings) -> None:
        self._siblings = siblings

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:  # noqa: ARG002 - the supervisor knows the peer
        """Hand on a request of our event package; return False for any other."""
        if not (request.present & EVENT and names_package(request)):
            return False
        self._siblings.to_supervisor(link, request)
        return True

    def responded(self, link: Link, response: Response) -> None:
        """Hand on the response to a request of the supervisor."""
        self._siblings.to_supervisor(link, response)


class WorkerService(Service):
    """One worker of the server *name*; *given* is the socket on which the supervisor gives it sockets."""

    def __init__(
        self, file: Path, name: str, log: Log, place: WorkerPlace, version: Mapping[str, Any], given: socket.socket
    ) -> None:
        super().__init__(file, name, log)
        self._place, self._given = place, given
        self._source_given = GivenVersion(version)
        self._ports, self._specs = GivenPorts(), dict[str, ListenerSpecChange]()
        self._came = asyncio.Event()
        self._is_serving = asyncio.Event()
        self._silent_ticks: int | None = None  # since the last question of the supervisor; None before the first one

    def read(self) -> None:
        """Read the topology that the supervisor has given; raises `OperatorError`."""
        self._source = self._source_given
        self._loaded, self._storage = self._source.load(), self._source_given.storage

    def _place_of(self) -> WorkerPlace:
        return self._place

    def _attach(self, node: RunningServer) -> None:
        """Attach what takes orders."""
        siblings = node.siblings
        if siblings is None:
            raise LocalError("a worker has other processes beside it")
        node.outside.control_plane = RemoteControlPlane(siblings)
        node.outside.ports = self._ports
        if isinstance(node.users, ReplicatedUsers):
            load_users(DocumentStore(node.view.loaded.folder, node.view.name).users, node.users, self._log)
        commands = {**self._commands(), **self._of_workers()}
        self._orders = node.outside.orders = Orders(siblings, commands, self._in_order(), self._ended)
        self._open.callback(self._orders.close)

    def _of_workers(self) -> Mapping[str, Command]:
        return {"alive": self._alive, "hurry": self._hurried, "metrics": self._metrics}

    def _in_order(self) -> Mapping[str, Command]:
        return {
            "serve": self._serve,
            "version": self._put_version,
            "crls": self._read_crls,
            "revoke": self._revoke,
            "users": self._put_users,
            "users-number": self._users_number,
        }

    async def start(self) -> None:
        """Take sockets from the supervisor, and serve once it says so."""
        self._given.settimeout(0)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._given, self._take_socket)
        self._open.callback(loop.remove_reader, self._given)
        self._orders.begin()
        await self._is_serving.wait()

    def _ended(self, process: int) -> None:
        """End with the supervisor: only the supervisor reports revocations to this process."""
        if process == SUPERVISOR:
            self._end_alone("the supervisor has ended: this worker ends too")

    def _end_alone(self, why: str) -> None:
        """End at once, because the supervisor has ended, or hangs: no connection is to wait at its sockets."""
        if not self._told_to_stop.is_set():
            self._log.error(why)
            self._node.listening.refuse()
            self._hurry.set()
            self._is_serving.set()
            self.drain()

    def _listen_for_supervisor(self) -> None:
        """End with a supervisor that hangs: then no revocation would reach this process."""
        if self._silent_ticks is not None:
            self._silent_ticks += 1
            if self._silent_ticks == SILENT_TICKS:
                self._end_alone("the supervisor asks nothing any more: it hangs, and this worker ends")

    def _show_life(self) -> None:
        """Show the supervisor that the loop of this process goes on, also where it takes long to answer."""
        channel = self._node.siblings.channel(SUPERVISOR) if self._node.siblings is not None else None
        if channel is not None:
            channel.send(BEAT, 0)

    def _take_socket(self) -> None:
        try:
            words, descriptors, _, _ = socket.recv_fds(self._given, LONGEST_WORD, 1)
        except BlockingIOError:
            return
        if not words or not descriptors:
            asyncio.get_running_loop().remove_reader(self._given)
            return
        what, sock = json.loads(words), socket.socket(fileno=descriptors[0])
        if "process" in what and self._node.reception is not None:
            self._node.reception.join(what["process"], what["branch"], sock)
        elif "port" in what:
            self._take_port(what, sock)

    def _take_port(self, what: Mapping[str, Any], sock: socket.socket) -> None:
        key = str(what["port"])
        self._ports.give(key, sock)
        self._specs[key] = str(what["host"]), int(what["number"])
        self._came.set()
        if self._is_serving.is_set():
            self._node.listening.adopt(self._spec(key))

    def _spec(self, key: str) -> ListenerSpec:
        """Return the settings of a port, with the address that the supervisor has bound."""
        host, port = self._specs[key]
        return replace(next(spec for spec in self._node.view.listeners if spec.key == key), host=host, port=port)

    # Orders

    async def _serve(self, asked: Mapping[str, Any]) -> int:
        """Refuse what was revoked, and listen."""
        while not set(asked["ports"]) <= self._specs.keys():
            self._came.clear()
            await self._came.wait()
        self._node.revocation.revoke(_certificates(asked))
        if asked.get("shortened"):  # a supervisor of an older release does not say it
            self._node.registrations.shorten()
        self._node.start([self._spec(key) for key in asked["ports"]])
        self._is_serving.set()
        return self._place.number

    async def _put_version(self, asked: Mapping[str, Any]) -> list[str]:
        """Put a version in force; a thread loads and prepares it."""
        stamps = {file: stamp(file) for file in self._node.view.loaded.lists}
        loaded = await off_loop(unpacked, asked["version"])
        prepared = await off_loop(self._reading.prepare, loaded)
        self._source_given.given = asked["version"]
        closed = self._reading.put_prepared(prepared, stamps)
        await self._reading.prepared()
        return closed

    async def _read_crls(self, asked: Mapping[str, Any]) -> list[str]:
        """Put changed CRLs in force."""
        result = self._reading.look([Path(file) for file in asked["files"]])
        await self._reading.prepared()
        return list(result.closed)

    async def _revoke(self, asked: Mapping[str, Any]) -> list[str]:
        """Refuse certificates from now on."""
        return self._node.revocation.revoke(_certificates(asked))

    async def _put_users(self, asked: Mapping[str, Any]) -> list[str]:
        """Put a document of users in force."""
        document = UserDocument.decode(asked["document"].encode())
        if document.number > self._node.user_updates.number:
            await self._node.user_updates.accept_large_document(document)
        if document.part == document.parts and document.number > self._node.user_updates.number:
            raise OperatorError("the first parts of the users were sent before this worker was started")
        return []

    async def _users_number(self, _asked: Mapping[str, Any]) -> int:
        return self._node.user_updates.number

    async def _alive(self, asked: Mapping[str, Any]) -> Mapping[str, object] | None:
        self._silent_ticks = 0
        return status_of(self._node).to_json() if asked["reports"] else None

    async def _hurried(self, _asked: Mapping[str, Any]) -> bool:
        self._hurry.set()
        return True

    async def _metrics(self, _asked: Mapping[str, Any]) -> object:
        from sipmesh.server.admin.merged_metrics import packed
        from sipmesh.server.admin.metrics.server_metrics import ServerMetrics

        return packed(ServerMetrics(self._node).collect())

    def _tick(self) -> None:
        """Do what is due, without what the supervisor does for the whole server."""
        self._listen_for_supervisor()
        self._show_life()
        self._node.tick()
        now = self._node.loop.time()
        if now - self._replaced_at >= REPLACE_EVERY_S:
            self._replaced_at = now
            self._node.certificates.replace_links(datetime.now(UTC))
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            if self._node.certificates.would_change(datetime.now(UTC)):
                self._reading.reload()
        self._reading.look_again()


def _certificates(asked: Mapping[str, Any]) -> list[CertificateId]:
    return [(bytes.fromhex(issuer), serial) for issuer, serial in asked["revoked"]]


ListenerSpecChange = tuple[str, int]
"""The address and the port that the supervisor has bound."""
