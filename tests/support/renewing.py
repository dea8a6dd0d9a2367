"""An organisation whose servers renew their certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.csr import request_for
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.server.agent.applicant import Applicant
from sipmesh.server.management.grantor import Grantor
from sipmesh.server.replication.renewal import REQUEST
from sipmesh.topology.document.load import Loaded, load
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.view import ServerView, certificate_names, view

FE1, FE2, EDGE, MGMT = "fe1.example.test", "fe2.example.test", "edge1.example.test", "mgmt.example.test"
TOPOLOGY = f"""\
sipmesh: 1
organisation: Example
sip_domains: [example.test]
authority: {{anchors: [ca/root.pem], crls: [ca/root.crl, ca/issuing.crl]}}
pools:
  - {{name: {MGMT}, role: management, servers: [{MGMT}]}}
  - {{name: pool1.example.test, role: front-end, servers: [{{name: {FE1}, machine: a}}, {{name: {FE2}, machine: a}}]}}
  - {{name: sip.example.test, role: edge, servers: [{EDGE}], next_hop: pool1.example.test}}
"""
NOW = datetime.now(UTC)
DUE = NOW + timedelta(days=21)  # of 30


@dataclass
class Place:
    """An organisation in which every server has a certificate that is valid from now."""

    folder: Path
    loaded: Loaded
    ca: EnterpriseCa
    granted: list[tuple[str, x509.Certificate]] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, algorithm: KeyAlgorithm = KeyAlgorithm.P_256) -> Place:
        """Issue a certificate for each server of the topology in *folder*."""
        file = folder / "topology.yaml"
        ca = EnterpriseCa.create(folder / "ca", "Example", NOW, crl_base="http://crl.example.test", algorithm=algorithm)
        file.write_text(TOPOLOGY)
        (folder / "state").mkdir()
        place = cls(folder, load(file), ca)
        for pool in place.loaded.topology.pools:
            for server in pool.servers:
                issued = ca.issue(certificate_names(place.loaded.topology, server.name), pool.role, NOW)
                issued.write(folder / server.certificate_file, folder / server.key_file)
        ca.issue_signer(MGMT, NOW).write(*place.view(MGMT).signer)
        return place

    def view(self, server: str) -> ServerView:
        return view(self.loaded, server)

    def leaf(self, server: str) -> x509.Certificate:
        return read_certificates(self.view(server).certificate)[0]

    def grantor(self) -> Grantor:
        chain, key = self.view(MGMT).signer
        return Grantor(
            self.folder / "ca",
            lambda payload, kind: sign(payload, kind, read_certificates(chain), files.read_key(key)),
            lambda server, made: self.granted.append((server, made)),
        )

    def applicant(self, server: str) -> Applicant:
        return Applicant(server, self.folder / "state")

    def request(self, server: str) -> str:
        found = self.applicant(server).request(self.view(server), DUE)
        assert found is not None
        return found

    def forged(self, about: str, by: str) -> str:
        """A request for *about* that is signed with the certificate of *by*."""
        shown = self.view(by)
        made = request_for(about, files.new_key())
        return sign(made, REQUEST, read_certificates(shown.certificate), files.read_key(shown.key)).decode()
