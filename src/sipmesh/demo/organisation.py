"""An organisation in a folder, built with the very commands' parts: CA, topology, certificates, users."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users import Users
from sipmesh.topology.document.load import Loaded, load
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role


@dataclass(slots=True)
class PoolPlan:
    """One pool to build; *keys* are further keys of its entry in the topology."""

    name: str
    role: Role
    servers: tuple[str, ...]
    keys: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Organisation:
    """An organisation on this machine; *ports* says where each of its servers listens for each kind of link."""

    folder: Path
    domain: str
    host: str
    ports: dict[str, dict[LinkKind, int]]
    document: dict[str, object]
    issued_at: datetime | None = None

    @classmethod
    def build(
        cls,
        folder: Path,
        domain: str,
        pools: tuple[PoolPlan, ...],
        *,
        host: str = HOST,
        issued_at: datetime | None = None,
    ) -> Organisation:
        """Make a CA, give every server its ports, and write the topology; certificates come with `issue_all`.

        *issued_at* is the instant, in UTC, at which everything is issued; None stands for the present.
        """
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder, domain, host, {}, {}, issued_at)
        EnterpriseCa.create(folder / "ca", domain, made._now(), crl_base=f"http://crl.{domain}")
        made.document = {
            "sipmesh": 1,
            "organisation": domain,
            "sip_domains": [domain],
            "authority": {"anchors": ["ca/root.pem"], "crls": ["ca/root.crl", "ca/issuing.crl"]},
            "pools": [made._pool(plan) for plan in pools],
        }
        return made

    def _now(self) -> datetime:
        return self.issued_at or datetime.now(UTC)

    def _pool(self, plan: PoolPlan) -> dict[str, object]:
        servers = [self._server(server, plan.role) for server in plan.servers]
        return {"name": plan.name, "role": str(plan.role), "servers": servers, **plan.keys}

    def _server(self, name: str, role: Role) -> dict[str, object]:
        kinds = {
            Role.FRONT_END: (LinkKind.CLIENT, LinkKind.SERVER),
            Role.EDGE: (LinkKind.SERVER, LinkKind.PARTNER),
            Role.APPLICATION: (LinkKind.SERVER,),
            Role.MANAGEMENT: (LinkKind.SERVER,),
        }[role]
        self.ports[name] = {kind: free_port(self.host) for kind in kinds}
        ports = {str(kind): port for kind, port in self.ports[name].items()}
        return {"name": name, "address": self.host, "ports": ports}

    @property
    def file(self) -> Path:
        """The topology."""
        return self.folder / "topology.yaml"

    @property
    def root(self) -> Path:
        """The anchor that clients and partners trust."""
        return self.folder / "ca" / "root.pem"

    @property
    def ca(self) -> EnterpriseCa:
        """The enterprise CA."""
        return EnterpriseCa.open(self.folder / "ca")

    @property
    def lists(self) -> list[str]:
        """The files of the CA's revocation lists."""
        return [str(self.folder / "ca" / f"{name}.crl") for name in ("root", "issuing")]

    def federate(self, route: str, partners: list[dict[str, object]], blocked: tuple[str, ...] = ()) -> None:
        """Name the edges that lead to partners, and the partners."""
        self.document["federation"] = {"route": route, "partners": partners, "blocked": list(blocked)}

    def as_partner(self, **keys: object) -> dict[str, object]:
        """The entry that another organisation has to write for us; *keys* are the rest of it."""
        return {"domains": [self.domain], "anchors": [str(self.root)], "crls": self.lists, **keys}

    def write(self) -> None:
        """Write the topology, whole or not at all: running servers look at it."""
        draft = self.file.with_suffix(".new")
        with draft.open("w") as stream:
            stream.writelines(_lines(self.document))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.file)

    def load(self) -> Loaded:
        """Read the topology as a server does."""
        return load(self.file)

    def issue_all(self) -> None:
        """Issue the certificate of every server."""
        for name in self.ports:
            self.issue(name)

    def issue(self, name: str) -> None:
        """Issue a new certificate and key for one server, and put them where the topology says; management gets a signer too."""
        topology = self.load().topology
        pool = topology.pool_of(name)
        if pool is None:
            raise ValueError(f"{name} is not in the topology")
        issued = self.ca.issue(certificate_names(topology, name), pool.role, self._now())
        issued.write(*self.papers(name))
        if pool.role is Role.MANAGEMENT:
            self.ca.issue_signer(name, self._now()).write(*self.papers(f"{name}.signer"))

    def papers(self, name: str) -> tuple[Path, Path]:
        """The certificate chain and the key of a server; of its signer, if *name* ends in ``.signer``."""
        return self.folder / "servers" / f"{name}.pem", self.folder / "servers" / f"{name}.key"

    def add_users(
        self,
        *names: str,
        algorithms: tuple[Algorithm, ...] = (Algorithm.SHA_256, Algorithm.MD5),
        pool: str | None = None,
    ) -> None:
        """Add users whose passwords are their names with ``-secret`` behind; *pool* is their home."""
        users = Users(self.load().users_url)
        try:
            for name in names:
                users.add(f"{name}@{self.domain}", f"{name}-secret", algorithms, pool=pool)
        finally:
            users.close()

    def address(self, server: str, kind: LinkKind) -> tuple[str, int]:
        """Where *server* listens for links of *kind*."""
        return self.host, self.ports[server][kind]


def _lines(document: dict[str, object]) -> Iterator[str]:
    """Write a topology as YAML: an entry a line, and what is in an entry as JSON, which is YAML as well."""
    for key, value in document.items():
        if isinstance(value, list):
            yield f"{key}:\n"
            yield from (f"- {json.dumps(entry)}\n" for entry in value)
        else:
            yield f"{key}: {json.dumps(value)}\n"
