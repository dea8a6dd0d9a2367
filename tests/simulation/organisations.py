"""The two organisations of every run, built once for each process of tests, and copied for each run."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from simulation.patches import EPOCH_S, fixed_entropy
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.server.management.publishing.offline_publish import publish_first
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.storage.management_db import ManagementDb
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.managed import MGMT, MGMT_POOL
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
FRONT_ENDS: Final = (FE1, FE2, FE3, FE4)
PARTNERS: Final = (PARTNER_FE, PARTNER_EDGE)
SERVERS: Final = (MGMT, *MANAGED, *PARTNERS)
PORTS: Final = {LinkKind.CLIENT: 5061, LinkKind.SERVER: 5062, LinkKind.PARTNER: 5063}
USERS: Final = {"alice": POOL, "bob": POOL, "carol": POOL, "dora": POOL2, "fred": POOL2, "gina": POOL2}
DEVICES: Final = (
    *(("alice", 1), ("alice", 2), ("bob", 1), ("bob", 2), ("carol", 1), ("dora", 1), ("fred", 1), ("gina", 1)),
)
"""The phones of our users, by user and number."""

PARTNER_USER: Final = "erin"
SPOKEN_FOR: Final = "bots.test"


def address_of(server: str) -> str:
    """Return the address of a server, the same in each run."""
    return f"10.99.0.{(*SERVERS, BOT).index(server) + 1}"


@dataclass
class Folders:
    """Where the organisations of a run are: *root* is the same path in each run, since documents name paths."""

    root: Path
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def example(self) -> Path:
        """The folder of management, which is the folder of the CA."""
        return self.root / "run" / "m"

    @property
    def partner(self) -> Path:
        """The folder that the partner's servers share."""
        return self.root / "run" / "p"

    def of(self, server: str) -> Path:
        """The folder of a server; managed servers have a machine each."""
        if server == MGMT:
            return self.example
        return self.partner if server in PARTNERS else self.root / "run" / server.partition(".")[0]

    def renew(self) -> None:
        """Put the organisations back to where every run begins."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        shutil.copytree(self.root / "model", self.root / "run", symlinks=True)

    def build(self) -> None:
        """Build the model, once."""
        if (self.root / "model").exists():
            return
        with fixed_entropy(random.Random("model")):
            example, partner = _example(self.example), _partner(self.partner)
            _introduce(example, partner)
            publish_first(example.file, "ada (1)", "it begins", BEGAN)
            for server in MANAGED:
                _join(self, server)
        self.document = example.document
        (self.root / "run").rename(self.root / "model")


def _example(folder: Path) -> Organisation:
    plans = (
        PoolPlan(MGMT_POOL, Role.MANAGEMENT, (MGMT,)),
        PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4)),
        PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "speaks_for": [SPOKEN_FOR]}),
    )
    organisation = Organisation.build(folder, EXAMPLE, plans, issued_at=BEGAN)
    organisation.document["sip_domains"] = [EXAMPLE, SPOKEN_FOR]
    _finish(organisation)
    for user, pool in USERS.items():
        organisation.add_users(user, pool=pool)
    return organisation


def _partner(folder: Path) -> Organisation:
    plans = (
        PoolPlan("pool1.partner.test", Role.FRONT_END, (PARTNER_FE,)),
        PoolPlan(PARTNER_EDGES, Role.EDGE, (PARTNER_EDGE,), {"next_hop": "pool1.partner.test"}),
    )
    organisation = Organisation.build(folder, PARTNER, plans, issued_at=BEGAN)
    _finish(organisation)
    organisation.add_users(PARTNER_USER)
    return organisation


def _finish(organisation: Organisation) -> None:
    """Give each server its address and its ports, and issue the certificates."""
    pools: Any = organisation.document["pools"]
    for pool in pools:
        for server in pool["servers"]:
            server["address"] = address_of(server["name"])
            server["machine"] = pool["name"]  # the servers of a pool share a store
            server["ports"] = {kind: PORTS[LinkKind(kind)] for kind in server["ports"]}
            organisation.ports[server["name"]] = {LinkKind(kind): port for kind, port in server["ports"].items()}
    organisation.write()
    organisation.issue_all()


def _introduce(example: Organisation, partner: Organisation) -> None:
    """Let each organisation know the other: we have the partner's edge in our topology, the partner asks DNS for ours."""
    shutil.copytree(partner.folder / "ca", example.folder / "partner", ignore=shutil.ignore_patterns("*.key", "*.db*"))
    shutil.copytree(example.folder / "ca", partner.folder / "partner", ignore=shutil.ignore_patterns("*.key", "*.db*"))
    known = {"anchors": ["partner/root.pem"], "crls": ["partner/root.crl", "partner/issuing.crl"]}
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
    for place in ("ca", "partner"):
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
