"""Management, a front end and an edge without a network: what each of them sends is handed to the other as bytes.

The documents, the CA, the history and the users are real, and each server has a folder of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.agent.agent import Agent
from sipmesh.server.control_socket import ROLE, WHO, encode
from sipmesh.server.here import here
from sipmesh.server.in_force.in_force import InForce, in_force_of
from sipmesh.server.management.commands import ManagementCommands
from sipmesh.server.management.controller import Controller
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.server.process.file_stamps import NO_STAMPS, Stamps
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.server.running.worker_place import ALONE, WorkerPlace
from sipmesh.server.tracing.traced_message import TraceReply
from sipmesh.sip.message import Request, Response, respond
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.topology.document.load import Loaded
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.evidence import Direction
from sipmesh.trust.x509.certificate import CertificateId
from support.in_force import lasting
from support.managed import MGMT, Change, Managed
from support.network import EDGE, FE1
from support.telling import Told
from support.wires import Wire


@dataclass
class Host:
    """The server that a controller or an agent is part of: it has in force what it was given, and serves no client."""

    view: ServerView
    told: Told = field(default_factory=Told)
    status: ServerStatus = field(default_factory=lambda: ServerStatus(number=0))
    revoked: set[CertificateId] = field(default_factory=set)
    users: UserDocument | None = None
    looked: list[Path] = field(default_factory=list)
    refuses: str = ""
    known: list[int] = field(default_factory=list)
    place: WorkerPlace = ALONE

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a version in force, unless it *refuses*."""
        if self.refuses:
            raise OperatorError(self.refuses)
        self.view = view(loaded, self.view.name)
        return []

    def prepare(self, loaded: Loaded) -> InForce:
        """Compute what a server computes of a version."""
        return in_force_of(loaded, self.view.name, lasting())

    def put_prepared(self, version: InForce, since: Stamps = NO_STAMPS) -> list[str]:  # noqa: ARG002
        """Put a version in force, unless it *refuses*."""
        return self.put_in_force(version.view.loaded)

    def revoke(self, named: Iterable[CertificateId]) -> list[str]:
        """Keep what was revoked."""
        self.revoked.update(named)
        return []

    def accept_document(self, document: UserDocument) -> int:
        """Keep the users, once their last part has come."""
        self.users = document if document.part == document.parts else self.users
        return 0

    async def accept_large_document(self, document: UserDocument) -> int:
        """Keep the users, once their last part has come."""
        return self.accept_document(document)

    @property
    def number(self) -> int:
        """The number of the users in force."""
        return self.users.number if self.users is not None else 0

    @property
    def is_settled(self) -> bool:
        """It is one process."""
        return True

    def look(self, at: Collection[Path] | None = None) -> None:
        """Note which files were written."""
        self.looked += at or ()

    @property
    def faults(self) -> tuple[str, ...]:
        """It listens as published."""
        return ()

    def knows_of(self, newest: int) -> None:
        """Note that a newer version exists."""
        self.known.append(newest)

    @property
    def gatekeeper(self) -> Self:
        """This replaces every part of a server."""
        return self

    revocation = user_updates = listening = gatekeeper

    def own_status(self) -> ServerStatus:
        """What it says of itself."""
        return self.status


async def _no_crls() -> tuple[()]:
    """Fetch nothing: no topology here has a URL."""
    return ()


async def _no_records(_records: object) -> bool:
    return False


async def _no_end(_asked: Mapping[str, object]) -> None:
    return None


async def _no_trace(_asked: Mapping[str, object]) -> TraceReply:
    return TraceReply()


class Plane:
    """The two ends of the control plane, and the edge behind the front end, joined by `exchange`."""

    def __init__(self, managed: Managed, *agents: str) -> None:
        self.managed, self._loop = managed, asyncio.get_running_loop()
        self._wires: dict[tuple[str, str], Wire] = {}
        self.management_db = ManagementDb(managed.folder(MGMT))
        self.versions = PublishedVersion(self.management_db, managed.holding(MGMT))
        self.versions.begin()
        published = self.versions.load()
        self.hosts = {MGMT: Host(view(published, MGMT))}
        self.users = Users(published.users_url)
        self.agents = {name: self._agent(name) for name in agents or (FE1, EDGE)}
        self.controller = self._controller()

    def _controller(self) -> Controller:
        host = self.hosts[MGMT]
        parts = (host, host, host.own_status, self.versions, self.users, here(host.view), self._loop)
        return Controller(*parts, lambda hop: self._dial(MGMT, hop.name).link, host.told.log)

    def _agent(self, name: str) -> Agent:
        if not self.managed.holding(name).is_there:
            self.managed.join(name)
        documents = self.managed.holding(name)
        host = self.hosts[name] = Host(view(documents.load(), name))
        parts = (host, documents, host, host.own_status, here(host.view), self._loop)
        agent = Agent(
            *parts,
            lambda hop: self._dial(name, hop.name).link,
            _no_crls,
            _no_trace,
            _no_records,
            _no_end,
            host.told.log,
        )
        agent.peer_checks.close()  # a wire is no link on which an application could answer
        return agent

    def __enter__(self) -> Self:
        self.controller.begin()
        for agent in self.agents.values():
            agent.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.close()
        for agent in self.agents.values():
            agent.close()
        self.users.close()
        self.management_db.close()

    # Links

    def _end(self, name: str) -> Controller | Agent:
        return self.controller if name == MGMT else self.agents[name]

    def _dial(self, opener: str, acceptor: str) -> Wire:
        """Make the opener's end of a new link; there is no peer until `connect`."""
        wire = self._wires[opener, acceptor] = Wire(self.hosts[opener].view.trusted.get(acceptor))
        return wire

    def wire(self, end: str, other: str) -> Wire:
        """The end that *end* has of its link with *other*."""
        return self._wires[end, other]

    def connect(self, opener: str, acceptor: str) -> None:
        """Let the link that *opener* has dialled come up, and hand over all that follows."""
        peer = self.hosts[acceptor].view.trusted.get(opener)
        accepted = self._wires[acceptor, opener] = Wire(peer, Direction.ACCEPTED)
        self._end(opener).link_up(self.wire(opener, acceptor).link)
        self._end(acceptor).link_up(accepted.link)
        self.exchange()

    def connect_all(self) -> None:
        """Let management reach the front end, and the front end the edge."""
        for opener, acceptor in ((MGMT, FE1), (FE1, EDGE)):
            if acceptor in self.agents:
                self.connect(opener, acceptor)

    def disconnect(self, opener: str, acceptor: str, why: str = "closed") -> None:
        """Let a link end."""
        for end, other in ((opener, acceptor), (acceptor, opener)):
            self._end(end).link_down(self._wires.pop((end, other)).link, why)

    def exchange(self) -> None:
        """Hand over what each end has sent until no end sends more."""
        while ways := [way for way, wire in self._wires.items() if wire.sent and (way[1], way[0]) in self._wires]:
            for sender, receiver in ways:
                for message in self.wire(sender, receiver).taken():
                    self.deliver(message, receiver, self.wire(receiver, sender))

    def deliver(self, message: Request | Response, receiver: str, wire: Wire) -> None:
        """Hand one message to *receiver* on its end of a link, as its dispatch does: what it refuses is answered."""
        end = self._end(receiver)
        if isinstance(message, Response):
            if isinstance(end, Agent):
                end.responded(wire.link, message)
            return
        try:
            assert wire.peer is not None
            assert end.requested(wire.link, wire.peer, message)
        except RemoteError as wrong:
            wire.send(respond(message, wrong.status, str(wrong)).encode())

    async def settle(self) -> None:
        """Give what was put off to the next turn of the loop its turn, and hand over what follows."""
        await asyncio.sleep(0)
        self.exchange()

    # What is asked

    def number(self, name: str) -> int:
        """The version that a server has in force."""
        return self.hosts[name].view.loaded.number

    async def ask(self, command: str, **given: Any) -> Any:
        """Ask management, as its control socket does."""
        answer = await ManagementCommands(self.controller).commands()[command]({WHO: "ada (1)", ROLE: OF_HOST, **given})
        return json.loads(encode(answer))

    async def publish(self, change: Change | None = None, *, force: bool = False) -> dict[str, Any]:
        """Publish the draft, with a *change* to it if there is one, and hand over all that follows."""
        if change is not None:
            self.managed.edit(change)
        plan = await self.ask("plan")
        told: dict[str, Any] = await self.ask(
            "publish", why="because", base=plan["base"], digest=plan["digest"], force=force
        )
        await self.settle()
        return told
