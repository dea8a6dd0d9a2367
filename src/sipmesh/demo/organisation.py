"""An organisation in a folder, built from the parts of the commands: CA, topology, certificates, users."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import Loaded, load
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role


@dataclass(slots=True)
class PoolPlan:
    """One pool to build; *keys* are additional keys of its entry in the topology."""

    name: str
    role: Role
    servers: tuple[str, ...]
    keys: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Organisation:
    """An organisation on this machine; *ports* has the port of each server for each kind of link."""

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
        port: Callable[[LinkKind], int] | None = None,
        algorithm: KeyAlgorithm = KeyAlgorithm.P_256,
    ) -> Organisation:
        """Make a CA, choose the ports of every server, and make the document; `issue_all` makes the certificates.

        *issued_at* is the instant, in UTC, at which everything is issued; None means now. *port* gives each port; None means a
        free port. *algorithm* is that of the CA.
        """
        folder.mkdir(parents=True, exist_ok=True)
        organisation = cls(folder, domain, host, {}, {}, issued_at)
        EnterpriseCa.create(
            folder / "ca", domain, organisation._now(), crl_base=f"http://crl.{domain}", algorithm=algorithm
        )
        organisation.document = {
            "sipmesh": 1,
            "organisation": domain,
            "sip_domains": [domain],
            "authority": {"anchors": ["ca/root.pem"], "crls": ["ca/root.crl", "ca/issuing.crl"]},
            "pools": [organisation._pool(plan, port) for plan in pools],
        }
        return organisation

    def _now(self) -> datetime:
        return self.issued_at or datetime.now(UTC)

    def _pool(self, plan: PoolPlan, port: Callable[[LinkKind], int] | None = None) -> dict[str, object]:
        servers = [self._server(server, plan, port) for server in plan.servers]
        return {"name": plan.name, "role": str(plan.role), "servers": servers, **plan.keys}

    def _server(self, name: str, plan: PoolPlan, port: Callable[[LinkKind], int] | None = None) -> dict[str, object]:
        kinds: tuple[LinkKind, ...] = {
            Role.FRONT_END: (LinkKind.CLIENT, LinkKind.SERVER),
            Role.EDGE: (LinkKind.SERVER, LinkKind.PARTNER),
            Role.GATEWAY: (LinkKind.SERVER, LinkKind.PARTNER),
            Role.APPLICATION: (LinkKind.SERVER,),
            Role.MANAGEMENT: (LinkKind.SERVER,),
        }[plan.role]
        if plan.keys.get("remote_users"):
            kinds += (LinkKind.CLIENT,)
        self.ports[name] = {kind: port(kind) if port is not None else free_port(self.host) for kind in kinds}
        ports = {str(kind): number for kind, number in self.ports[name].items()}
        return {"name": name, "address": self.host, "ports": ports}

    @property
    def file(self) -> Path:
        """The path of the topology."""
        return self.folder / "topology.yaml"

    @property
    def root(self) -> Path:
        """The path of the anchor that clients and partners trust."""
        return self.folder / "ca" / "root.pem"

    @property
    def ca(self) -> EnterpriseCa:
        """The enterprise CA, opened."""
        return EnterpriseCa.open(self.folder / "ca")

    @property
    def lists(self) -> list[str]:
        """The paths of the CA's CRLs."""
        return [str(self.folder / "ca" / f"{name}.crl") for name in ("root", "issuing")]

    def federate(
        self,
        route: str,
        partners: list[dict[str, object]],
        blocked: tuple[str, ...] = (),
        networks: tuple[str, ...] = ("127.0.0.0/8",),
    ) -> None:
        """Set the partners, the edges that lead to them, and the private *networks* of partners: they are on this machine."""
        given = {"networks": list(networks), "blocked": list(blocked)}
        self.document["federation"] = {"route": route, "partners": partners, **given}

    def as_partner(self, **keys: object) -> dict[str, object]:
        """Return the entry that another organisation has to write for us; *keys* are its other keys."""
        return {"domains": [self.domain], "anchors": [str(self.root)], "crls": self.lists, **keys}

    def certify_devices(self) -> None:
        """Make the device issuing CA, and name it and its CRL in the document."""
        self.ca.certify_devices([self.domain], self._now())
        authority: Any = self.document["authority"]
        authority["crls"].append("ca/devices.crl")
        authority["devices"] = ["ca/devices.pem"]

    def write(self) -> None:
        """Write the topology, completely or not at all: running servers watch it.

        Files of partners elsewhere are linked into our folder before: a topology names files in the folder of their kind only.
        """
        federation: Any = self.document.get("federation") or {}
        for partner in federation.get("partners", ()):
            for key in {"anchors", "crls"} & partner.keys():
                partner[key] = [self._linked(name, partner["domains"][0]) for name in partner[key]]
        draft = self.file.with_suffix(".new")
        with draft.open("w") as stream:
            stream.writelines(_lines(self.document))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.file)

    def _linked(self, name: str, partner: str) -> str:
        """Link a file that is elsewhere into the folder of *partner*; returns its name there."""
        if not name.startswith("/"):
            return name
        folder, file = self.folder / "partners" / partner, Path(name)
        if file.is_relative_to(self.folder):
            return file.relative_to(self.folder).as_posix()
        folder.mkdir(parents=True, exist_ok=True)
        links = (folder / f"{n}{file.name}" for n in ("", *range(1, 100)))
        link = next(
            link for link in links if not os.path.lexists(link) or (link.is_symlink() and link.readlink() == file)
        )
        if not link.is_symlink():
            link.symlink_to(file)
        return link.relative_to(self.folder).as_posix()

    def load(self) -> Loaded:
        """Read the topology as a server does."""
        return load(self.file)

    def issue_all(self) -> None:
        """Issue the certificate of every server."""
        for name in self.ports:
            self.issue(name)

    def issue(self, name: str) -> None:
        """Issue a certificate and key for one server, and write them to their files; a management server gets a signer too."""
        topology = self.load().topology
        pool = topology.pool_of(name)
        if pool is None:
            raise ValueError(f"{name} is not in the topology")
        issued = self.ca.issue(certificate_names(topology, name), pool.role, self._now())
        issued.write(*self.credentials(name))
        if pool.role is Role.MANAGEMENT:
            self.ca.issue_signer(name, self._now()).write(*self.credentials(f"{name}.signer"))

    def credentials(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a server's certificate chain and key; of its signer, if *name* ends in ``.signer``."""
        return self.folder / "servers" / f"{name}.pem", self.folder / "servers" / f"{name}.key"

    def add_users(
        self,
        *names: str,
        algorithms: tuple[Algorithm, ...] = (Algorithm.SHA_256, Algorithm.MD5),
        pool: str | None = None,
    ) -> None:
        """Add users; each password is the user's name with ``-secret`` appended; *pool* is their home pool."""
        users = Users(self.load().users_url)
        try:
            for name in names:
                users.add(f"{name}@{self.domain}", f"{name}-secret", algorithms, pool=pool)
        finally:
            users.close()

    def address(self, server: str, kind: LinkKind) -> tuple[str, int]:
        """Return the address at which *server* listens for links of *kind*."""
        return self.host, self.ports[server][kind]


def _lines(document: dict[str, object]) -> Iterator[str]:
    """Write a topology as YAML: an entry a line, and what is in an entry as JSON, which is YAML too."""
    for key, value in document.items():
        if isinstance(value, list):
            yield f"{key}:\n"
            yield from (f"- {json.dumps(entry)}\n" for entry in value)
        else:
            yield f"{key}: {json.dumps(value)}\n"
