"""The two organisations of every run, built once for each process of tests, and copied for each run."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from simulation.databases import Databases
from simulation.patches import EPOCH_S, machine_at_rest
from sipmesh.database.shared import FILE, SharedDatabase
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.admission import admit
from sipmesh.server.management.pool.file_replication import FileGiver
from sipmesh.server.management.pool.joining import join_pool
from sipmesh.server.management.publishing.offline_publish import publish_first
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import fingerprint
from support.managed import MGMT, MGMT2
from support.network import (
    BOT,
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    FE3,
    FE4,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    POOL,
    POOL2,
)

BEGAN: Final = datetime.fromtimestamp(EPOCH_S, UTC)
MANAGED: Final = (FE1, FE2, FE3, FE4, EDGE)
WORKERS: Final = {FE3: 2}
"""How many workers a server has, if it has some."""

FRONT_ENDS: Final = (FE1, FE2, FE3, FE4)
PARTNERS: Final = (PARTNER_FE, PARTNER_EDGE)
MANAGERS: Final = (MGMT, MGMT2)
MANAGERS_POOL: Final = "managers.example.test"
SERVERS: Final = (*MANAGERS, *MANAGED, *PARTNERS)
MANAGEMENT: Final = "management"
MESSAGES: Final = "messages"
"""The databases of the database servers: that of management, with the users, and that of the stored messages."""

PER_USER: Final = 6
PER_SENDER: Final = 5
"""How many messages are stored for one user, in all and of one sender."""
PORTS: Final = {LinkKind.CLIENT: 5061, LinkKind.SERVER: 5062, LinkKind.PARTNER: 5063}
USERS: Final = {"alice": POOL, "bob": POOL, "carol": POOL, "dora": POOL2, "fred": POOL2, "gina": POOL2}
DEVICES: Final = (
    *(("alice", 1), ("alice", 2), ("bob", 1), ("bob", 2), ("carol", 1), ("dora", 1), ("fred", 1), ("gina", 1)),
)
"""The phones of our users, by user and number."""

BOT_DEVICE: Final = "bot1"
"""The application, as a device."""

ALGORITHMS: Final = {POOL: (Algorithm.SHA_256, Algorithm.MD5), POOL2: (Algorithm.SHA_256,)}
"""The digest algorithms of the users of each pool."""

TAKEOVER_AFTER_S: Final = 10
"""When the first pool serves the users of the second one, none of whose servers has answered meanwhile."""

STAY: Final = ("bob", "carol", "gina")
"""The users whose phones register once for long, and move only if they lose their links."""

PARTNER_USER: Final = "erin"
SPOKEN_FOR: Final = "bots.test"


def address_of(server: str) -> str:
    """Return the address of a server, the same in each run."""
    return f"10.99.0.{(*SERVERS, BOT).index(server) + 1}"


def memory() -> str | None:
    """Return a folder in memory, where there is one: what is durable is up to the run."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - TemporaryDirectory makes a private folder in it


@dataclass
class Folders:
    """Where the organisations of a run are: *root* is the same path in each run, since documents name paths."""

    root: Path
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def example(self) -> Path:
        """The folder of the first management server, in which the organisation was made."""
        return self.root / "run" / "m"

    @property
    def databases(self) -> Path:
        """The folder of the database servers."""
        return self.root / "run" / "databases"

    @property
    def partner(self) -> Path:
        """The folder that the partner's servers share."""
        return self.root / "run" / "p"

    def of(self, server: str) -> Path:
        """The folder of a server; managed servers have a machine each."""
        if server == MGMT:
            return self.example
        if server == MGMT2:
            return self.root / "run" / "m2"
        return self.partner if server in PARTNERS else self.root / "run" / server.partition(".")[0]

    def renew(self) -> None:
        """Put the organisations back to where every run begins."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        shutil.copytree(self.root / "model", self.root / "run", symlinks=True)

    def build(self) -> None:
        """Build the model, once."""
        if (self.root / "model").exists():
            return
        databases = Databases(self.databases, BEGAN.timestamp, lambda wall: wall())
        with machine_at_rest(random.Random("model"), databases):
            example, partner = _example(self.example), _partner(self.partner)
            _introduce(example, partner)
            publish_first(example.file, "ada (1)", "it begins", BEGAN)
            for server in (*MANAGED, MGMT2):
                _join(self, server)
            _join_pool(self)
        databases.end()
        self.document = example.document
        (self.root / "run").rename(self.root / "model")


def _example(folder: Path) -> Organisation:
    folder.mkdir(parents=True)
    files.write(folder / FILE, _shared(MGMT).encode(), files.SECRET)
    plans = (
        PoolPlan(MANAGERS_POOL, Role.MANAGEMENT, MANAGERS),
        PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4)),
        PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL2, "speaks_for": [SPOKEN_FOR]}),
    )
    organisation = Organisation.build(folder, EXAMPLE, plans, issued_at=BEGAN, port=PORTS.__getitem__)
    organisation.document["sip_domains"] = [EXAMPLE, SPOKEN_FOR]
    management, messages = (f"postgresql+psycopg://localhost/{name}" for name in (MANAGEMENT, MESSAGES))
    organisation.document["storage"] = {"users": management, "management": management, "messages": messages}
    pools: Any = organisation.document["pools"]
    next(pool for pool in pools if pool["name"] == POOL2).update(backup_pool=POOL, takeover_after=TAKEOVER_AFTER_S)
    organisation.document["messages"] = {"per_user": PER_USER, "per_sender": PER_SENDER}
    _finish(organisation)
    for user, pool in USERS.items():
        organisation.add_users(user, algorithms=ALGORITHMS[pool], pool=pool)
    return organisation


def _shared(server: str) -> SharedDatabase:
    return SharedDatabase(f"postgresql+psycopg://localhost/{MANAGEMENT}", server)


def _join_pool(folders: Folders) -> None:
    """Let the second management server join the pool, as `sipmesh management join` does; no server leads then."""
    leader = ManagementDb(folders.example)
    leader.lease.must_lead()
    in_force = DocumentStore(folders.example, MGMT).load()
    [leaf, *_] = x509.load_pem_x509_certificates((folders.of(MGMT2) / "servers" / f"{MGMT2}.pem").read_bytes())
    generations = CaGenerations(folders.example / "ca")
    admit(in_force, generations, MGMT2, fingerprint(leaf), BEGAN, note=lambda *_, **__: None)
    FileGiver(leader).give(view(in_force, MGMT))
    leader.lease.release()
    leader.close()
    for name in ("topology.yaml", "partners/root.pem", "partners/issuing.pem"):  # as `sipmesh topology draft` does
        if (folders.example / name).exists():
            shutil.copy(folders.example / name, folders.of(MGMT2) / name)
    if not join_pool(folders.of(MGMT2), _shared(MGMT2)):
        raise AssertionError(f"{MGMT2} has no CA")


def _partner(folder: Path) -> Organisation:
    plans = (
        PoolPlan("pool1.partner.test", Role.FRONT_END, (PARTNER_FE,)),
        PoolPlan(PARTNER_EDGES, Role.EDGE, (PARTNER_EDGE,), {"next_hop": "pool1.partner.test"}),
    )
    organisation = Organisation.build(folder, PARTNER, plans, issued_at=BEGAN, port=PORTS.__getitem__)
    _finish(organisation)
    organisation.add_users(PARTNER_USER)
    return organisation


def _finish(organisation: Organisation) -> None:
    """Give each server its address, and issue the certificates."""
    pools: Any = organisation.document["pools"]
    for pool in pools:
        for server in pool["servers"]:
            server["address"] = address_of(server["name"])
            server["machine"] = pool["name"]  # the servers of a pool share a store
            if server["name"] in WORKERS:
                server["workers"] = WORKERS[server["name"]]
    organisation.write()
    organisation.issue_all()


def _introduce(example: Organisation, partner: Organisation) -> None:
    """Let each organisation know the other: we have the partner's edge in our topology, the partner asks DNS for ours."""
    shutil.copytree(partner.folder / "ca", example.folder / "partners", ignore=shutil.ignore_patterns("*.key", "*.db*"))
    shutil.copytree(example.folder / "ca", partner.folder / "partners", ignore=shutil.ignore_patterns("*.key", "*.db*"))
    known = {"anchors": ["partners/root.pem"], "crls": ["partners/root.crl", "partners/issuing.crl"]}
    edge = f"{PARTNER_EDGES}:{PORTS[LinkKind.PARTNER]}"
    example.federate(EDGES, [{"domains": [PARTNER], **known, "edge": edge, "address": address_of(PARTNER_EDGE)}])
    partner.federate(PARTNER_EDGES, [{"domains": [EXAMPLE], **known}], networks=("10.99.0.0/24",))
    example.write()
    partner.write()


def _join(folders: Folders, server: str) -> None:
    """Put into the folder of a server what `sipmesh join accept` puts there."""
    folder, ours = folders.of(server), folders.example
    for made in ("servers", "ca", "state"):
        (folder / made).mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (ours / "servers" / f"{server}.pem", ours / "servers" / f"{server}.key"):
        shutil.copy(file, folder / "servers" / file.name)
    for place in ("ca", "partners"):
        (folder / place).mkdir(exist_ok=True)
        for file in (ours / place).glob("*.crl"):
            shutil.copy(file, folder / place / file.name)
    DocumentStore(folder, server).begin(
        _published(ours), x509.load_pem_x509_certificates((ours / "ca" / "root.pem").read_bytes())
    )


def _published(folder: Path) -> bytes:
    management_db = ManagementDb(folder)
    try:
        return management_db.history.get(1).jws
    finally:
        management_db.close()
