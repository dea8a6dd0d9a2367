"""A management pool: two management servers in folders of their own, on one PostgreSQL database."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from sipmesh.database.shared import SharedDatabase
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.admission import admit
from sipmesh.server.management.own_renewal import renew_own
from sipmesh.server.management.pool.file_replication import FileGiver
from sipmesh.server.management.pool.joining import join_pool
from sipmesh.server.management.publishing.offline_publish import publish_at_rest
from sipmesh.storage.backup.create import copy_users
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.management_move import move
from sipmesh.topology.view import view
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import fingerprint
from support.managed import MGMT, MGMT2, Managed, build_managed, servers_of
from support.network import copied_with_ports
from support.postgres import Cluster
from support.running import until

MANAGERS = "managers.example.test"


def build_pool(folder: Path) -> tuple[Organisation, dict[str, Any]]:
    """example.test with certificates of two management servers, and the entry of the second, which is not in the topology."""
    organisation = build_managed(folder)
    document: dict[str, Any] = organisation.document
    document["pools"][0]["name"] = MANAGERS
    organisation.write()
    servers = servers_of(organisation.document, MANAGERS)
    servers.append(entry := organisation._server(MGMT2, PoolPlan(MANAGERS, Role.MANAGEMENT, (MGMT2,))))
    organisation.document["storage"] = {"users": "postgresql+psycopg:///x", "management": "postgresql+psycopg:///x"}
    organisation.write()
    organisation.issue(MGMT2)
    servers.remove(entry)
    del organisation.document["storage"]
    organisation.write()
    return organisation, entry


@dataclass
class Pool:
    """The *network*, whose first management server has moved its data to the database at *url*."""

    network: Managed
    url: str

    @classmethod
    def make(cls, organisation: Organisation, entry: dict[str, Any], where: Path, url: str) -> Pool:
        """Publish a version with both management servers; the second has not joined yet."""
        network = Managed(organisation, where)
        move(organisation.folder, SharedDatabase(url, MGMT), "ada (1)", datetime.now(UTC))
        copy_users(organisation.load().users_url, url)
        servers_of(organisation.document, MANAGERS).append(entry)
        public = Cluster.public(url)
        organisation.document["storage"] = {"users": public, "management": public}
        organisation.write()
        publish_at_rest(
            organisation.file, "ada (1)", "two", datetime.now(UTC), lambda *_, **__: None, base=1, digest="", force=True
        )
        made = ManagementDb(organisation.folder)
        made.lease.release()
        made.close()
        return cls(network, url)

    def copied(self, where: Path) -> Pool:
        """Give the same pool in folders of its own, below *where*, with the same ports and the same URL."""
        organisation = copied_with_ports(self.network.organisation, where / "m")
        return Pool(Managed(organisation, where), self.url)

    def join(self) -> None:
        """Let the second server join the network as on a machine of its own: with its key, and without that of its signer."""
        self.network.join(MGMT2)
        self.admit()
        shutil.copy(self.network.organisation.file, self.network.folder(MGMT2) / "topology.yaml")

    def admit(self, server: str = MGMT2) -> str:
        """Admit a server by its certificate, as `sipmesh ca admit` does; returns the SHA-256 of the certificate."""
        organisation = self.network.organisation
        leaf = x509.load_pem_x509_certificates(self.network.credentials(server)[0].read_bytes())[0]
        generations = CaGenerations(organisation.folder / "ca")
        given = (organisation.load(), generations, server, fingerprint(leaf), datetime.now(UTC))
        return fingerprint(admit(*given, note=lambda *_, **__: None))

    async def join_pool(self) -> None:
        """Let it join the pool, once the leader has sealed the CA for it."""
        shared = SharedDatabase(self.url, MGMT2)
        await until(lambda: join_pool(self.network.folder(MGMT2), shared))

    def end_lease(self) -> None:
        """Let the time of the lease pass."""
        database = SharedDatabase(self.url, MGMT).open()
        with database.engine.begin() as db:
            db.exec_driver_sql("UPDATE management_lease SET until = 0")
        database.close()

    def controller(self, name: str) -> Any:
        """The controller of a management server that runs."""
        return self.network.services[name].control_plane

    def leads(self, name: str) -> bool:
        """Whether a server leads."""
        return bool(self.controller(name).leadership.leads)

    async def publish(self, name: str) -> int:
        """Publish the draft on the host of *name*."""
        plan = await self.network.ask(name, "plan")
        told = await self.network.ask(name, "publish", why="why", base=plan["base"], digest=plan["digest"])
        return int(told["version"])


def pool_on(tmp_path: Path, url: str) -> Pool:
    """Both hosts with the CA; no server runs."""
    organisation, entry = build_pool(tmp_path / "m")
    pool = Pool.make(organisation, entry, tmp_path, url)
    pool.join()
    leader = ManagementDb(organisation.folder)
    leader.lease.must_lead()
    FileGiver(leader).give(view(organisation.load(), MGMT))
    leader.lease.release()
    leader.close()
    second = pool.network.folder(MGMT2)
    assert join_pool(second, SharedDatabase(pool.url, MGMT2))
    follower = ManagementDb(second)
    assert follower.lease.claim()
    renew_own(view(pool.network.holding(MGMT2).load(), MGMT2), second / "ca", datetime.now(UTC))
    follower.lease.release()
    follower.close()
    return pool
