"""An organisation with management, each server in a folder of its own as on a machine of its own, all in the test's loop."""

from __future__ import annotations

import asyncio
import atexit
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sipmesh.client.agent import Settings, UserAgent
from sipmesh.client.answering import Manners
from sipmesh.client.judge import Trust
from sipmesh.database.shared import has_management_db
from sipmesh.demo import forkserver
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.server.agent.agent import Agent
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.server.management.controller import Controller
from sipmesh.server.management.publishing.offline_publish import publish_first
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.versions.publication import KIND, Draft
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.model_ports import model_port
from support.network import (
    BEGAN,
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    FE3,
    FE4,
    POOL,
    POOL2,
    copied,
    copied_with_ports,
    make_message_store,
)
from support.peer import Peer
from support.running import until
from support.telling import Told

MGMT = MGMT_POOL = "mgmt.example.test"
MGMT2 = "mgmt2.example.test"

FOLDERS = {MGMT: "m", MGMT2: "m2", FE1: "f1", FE2: "f2", FE3: "f3", FE4: "f4", EDGE: "e"}
"""Short names: a control socket has a path of 107 bytes at most."""

Credentials = tuple[Path, Path]
Change = Callable[[dict[str, Any]], object]
_models: dict[str, Organisation] = {}


def build_managed(
    folder: Path,
    *further: PoolPlan,
    managers: tuple[str, ...] = (MGMT,),
    algorithm: KeyAlgorithm = KeyAlgorithm.P_256,
) -> Organisation:
    """example.test: management, two front ends in one pool, an edge, and what is *further* in it; nothing is published yet.

    All that a process builds by the same plan are copies of one, with one CA, whose keys are of *algorithm*.
    """
    return copied(_built(further, managers, algorithm), folder)


def build_published(
    folder: Path, *further: PoolPlan, algorithm: KeyAlgorithm = KeyAlgorithm.P_256, **keys: object
) -> Organisation:
    """The same at version 1, with *keys* in the topology.

    All that a process builds by the same plan have the same ports (`support.model_ports`): only one of them may run.
    """
    plan = repr((further, keys, algorithm))
    model = _kept(plan, lambda where: _published(where, _built(further, (MGMT,), algorithm), keys))
    return copied_with_ports(model, folder)


def _kept(plan: str, build: Callable[[Path], Organisation]) -> Organisation:
    """Give the organisation of *plan*, which is built once in a process."""
    if plan not in _models:
        models = Path(mkdtemp(prefix="models-"))
        atexit.register(shutil.rmtree, models, ignore_errors=True)
        _models[plan] = build(models / "m")
    return _models[plan]


def _published(folder: Path, built: Organisation, keys: dict[str, object]) -> Organisation:
    organisation = copied(built, folder, model_port)
    organisation.document.update(keys)
    organisation.write()
    return Managed(organisation, folder.parent).organisation


def _built(further: tuple[PoolPlan, ...], managers: tuple[str, ...], algorithm: KeyAlgorithm) -> Organisation:
    return _kept(repr((further, managers, algorithm)), lambda model: _model(model, further, managers, algorithm))


def _model(
    folder: Path, further: tuple[PoolPlan, ...], managers: tuple[str, ...], algorithm: KeyAlgorithm
) -> Organisation:
    organisation = Organisation.build(
        folder,
        EXAMPLE,
        (
            PoolPlan(MGMT_POOL, Role.MANAGEMENT, managers),
            PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
            PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
            *further,
        ),
        issued_at=BEGAN,
        algorithm=algorithm,
    )
    organisation.write()
    organisation.issue_all()
    organisation.add_users("alice", "bob", pool=POOL)
    make_message_store(organisation)
    return organisation


def second_pool() -> PoolPlan:
    """A second pool of front ends."""
    return PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4))


@dataclass
class Managed:
    """What runs in one test; *where* has a folder for each server but management, whose folder is the organisation's."""

    organisation: Organisation
    where: Path
    services: dict[str, Service] = field(default_factory=dict)
    nodes: dict[str, RunningServer] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        if not has_management_db(self.organisation.folder):
            publish_first(self.organisation.file, "ada (1)", "it begins", datetime.now(UTC))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.stop(*self._running)
        faults = [line for told in self.told.values() for line in told.events("fault")]
        assert not faults, faults

    # Servers

    def folder(self, name: str) -> Path:
        """The folder of a server."""
        return self.organisation.folder if name == MGMT else self.where / FOLDERS.get(name, name)

    def credentials(self, name: str) -> Credentials:
        """The certificate chain and the key of a server."""
        return self.organisation.credentials(name)

    def holding(self, name: str) -> DocumentStore:
        """What a server has on its disk."""
        return DocumentStore(self.folder(name), name)

    def join(self, name: str) -> None:
        """Put into the folder of a new server what `sipmesh join accept` puts there."""
        folder, ours = self.folder(name), self.organisation.folder
        for made in ("servers", "ca"):
            (folder / made).mkdir(parents=True, exist_ok=True)
        for file in self.credentials(name):
            shutil.copy(file, folder / "servers" / file.name)
        for file in (ours / "ca").glob("*.crl"):
            shutil.copy(file, folder / "ca" / file.name)
        self._share_bindings(name)
        self._copy_messages(name)
        anchors = x509.load_pem_x509_certificates(self.organisation.root.read_bytes())
        self.holding(name).begin(self.published(), anchors)

    def _share_bindings(self, name: str) -> None:
        """Let a server keep its bindings in the file of its pool, as the servers of a pool have to."""
        pool = self.organisation.load().topology.pool_of(name)
        shared, own = (
            self.where / f"bindings-{pool.name if pool else name}",
            self.folder(name) / "state" / "bindings.db",
        )
        own.parent.mkdir(mode=0o700, exist_ok=True)
        if not own.is_symlink():
            own.symlink_to(shared)

    def _copy_messages(self, name: str) -> None:
        """Give a front end the database of stored messages, which it would make at its start."""
        messages, state = self.organisation.folder / "state" / "messages.db", self.folder(name) / "state"
        pool = self.organisation.load().topology.pool_of(name)
        if pool and pool.role is Role.FRONT_END and messages.exists():
            state.mkdir(mode=0o700, exist_ok=True)
            shutil.copy(messages, state)

    async def start(self, *names: str) -> None:
        """Run servers; those that have not joined yet do so first."""
        for name in names:
            if name != MGMT and not self.holding(name).is_there:
                self.join(name)
            told = self.told.setdefault(name, Told())
            service = self.services[name] = Service(self.folder(name) / "topology.yaml", name, told.log)
            ready: asyncio.Future[RunningServer] = asyncio.get_running_loop().create_future()
            self._running[name] = task = asyncio.create_task(service.serve(ready.set_result))
            await asyncio.wait((ready, task), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                del self._running[name]
                await task
            self.nodes[name] = ready.result()

    async def stop(self, *names: str) -> None:
        """Drain servers."""
        tasks = [self._running.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        for name in names:
            self.nodes.pop(name, None)
            self.services.pop(name, None)

    def member(self, name: str) -> Agent:
        """The agent of a managed server."""
        agent = self.services[name].control_plane
        assert isinstance(agent, Agent)
        return agent

    @property
    def master(self) -> Controller:
        """The controller of the management server."""
        controller = self.services[MGMT].control_plane
        assert isinstance(controller, Controller)
        return controller

    def number(self, name: str) -> int:
        """The version that a server has in force."""
        return self.nodes[name].view.loaded.number

    async def in_force(self, number: int, *names: str) -> None:
        """Wait until servers, all that run by default, have a version in force."""
        await until(lambda: all(self.number(name) == number for name in names or self.nodes))

    async def acknowledged(self, number: int, *names: str) -> None:
        """Wait until management knows that servers have a version in force; all but management that run by default."""
        wanted = set(names or self.nodes) - {MGMT}
        await until(lambda: wanted <= self.master.reports.servers_with(number))

    # Their peers

    async def agent(self, user: str, server: str) -> UserAgent:
        """A user who is logged in at *server*, as soon as management has sent it the users."""
        if server in self.nodes:
            await until(lambda: self.nodes[server].users.ready)
        trust = Trust.of_pem(self.organisation.root.read_bytes())
        agent = UserAgent(f"{user}@{EXAMPLE}", f"{user}-secret", trust=trust, settings=Settings(Manners()))
        self._stack.push_async_callback(agent.close)
        await agent.connect(*self.organisation.address(server, LinkKind.CLIENT))
        assert (await agent.register()).status == 200
        return agent

    async def phone(self, server: str, user: str = "nobody") -> Peer:
        """A peer at the client port of *server*; it has not logged in."""
        address = self.organisation.address(server, LinkKind.CLIENT)
        return await self._stack.enter_async_context(await Peer.open(address, f"{user}@{EXAMPLE}"))

    async def peer(self, server: str, name: str) -> Peer:
        """A peer at the server port of *server*, with the credentials of the server *name*."""
        return await self.peer_with(self.credentials(name), server)

    async def peer_with(self, credentials: Credentials, server: str, kind: LinkKind = LinkKind.SERVER) -> Peer:
        """A peer with any credentials, at any port of *server*."""
        address = self.organisation.address(server, kind)
        return await self._stack.enter_async_context(await Peer.open(address, credentials=credentials))

    # What the operator does

    async def type(self, *arguments: str, typed: str = "", code: int = 0) -> str:
        """Run a command in the folder of management, as an operator does; gives what it printed."""
        status, printed = await asyncio.to_thread(
            forkserver.run, arguments, self.organisation.folder, typed, COLUMNS="200"
        )
        assert status == code, printed
        return printed

    async def ask(self, server: str, command: str, **given: Any) -> Any:
        """Ask a control socket."""
        return await ask(self.folder(server) / "state" / f"{server}{SOCKET_SUFFIX}", command, **given)

    def edit(self, change: Change) -> None:
        """Change the draft."""
        change(self.organisation.document)
        self.organisation.write()

    async def publish(
        self, change: Change | None = None, why: str = "because", *, force: bool = False
    ) -> dict[str, Any]:
        """Publish the draft, with a *change* to it if there is one."""
        if change is not None:
            self.edit(change)
        plan = await self.ask(MGMT, "plan")
        told: dict[str, Any] = await self.ask(
            MGMT, "publish", why=why, base=plan["base"], digest=plan["digest"], force=force
        )
        return told

    async def network(self) -> dict[str, dict[str, Any]]:
        """Every server as `sipmesh status` has it."""
        told = await self.ask(MGMT, "network")
        return {one["server"]: one for one in told["servers"]}

    # Documents

    def published(self, number: int = 0) -> bytes:
        """A version as it was signed, the newest by default."""
        management_db = ManagementDb(self.organisation.folder)
        try:
            head = management_db.history.head()
            assert head is not None
            return management_db.history.get(number or head.number).jws
        finally:
            management_db.close()

    def payload(self, number: int, **changes: Any) -> bytes:
        """The draft as it would be published under a number, but for *changes*."""
        draft = Draft.read(self.organisation.file.read_bytes(), self.organisation.file)
        made = draft.compiled(number, "mallory (66)", "because", at=datetime.now(UTC))
        return replace(made, **changes).encode()

    def signed(
        self, payload: bytes, credentials: Credentials | None = None, kind: str = KIND, fencing: int = 0
    ) -> bytes:
        """Sign a payload, as management does or with other credentials; a leader of a pool has a *fencing* number."""
        chain, key_file = credentials or self.credentials(f"{MGMT}.signer")
        key: Any = load_pem_private_key(key_file.read_bytes(), None)
        more = {"fencing": fencing} if fencing else {}
        return sign(payload, kind, x509.load_pem_x509_certificates(chain.read_bytes()), key, **more)

    def version(self, number: int, **changes: Any) -> bytes:
        """A valid version that management has not published."""
        return self.signed(self.payload(number, **changes))


def servers_of(document: dict[str, Any], pool: str) -> list[dict[str, Any]]:
    """The servers of a pool in a draft."""
    found: list[dict[str, Any]] = next(one["servers"] for one in document["pools"] if one["name"] == pool)
    return found


def without(server: str) -> Change:
    """Take a server out of a draft."""

    def change(document: dict[str, Any]) -> None:
        for pool in document["pools"]:
            pool["servers"] = [one for one in pool["servers"] if one["name"] != server]

    return change


def links_between(node: RunningServer, peer: str) -> list[Link]:
    """The links of a server with another that are up."""
    return [link for link in node.pool.all() if link.state is LinkState.UP and link.peer_name == peer]
