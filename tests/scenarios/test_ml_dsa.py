"""Servers whose certificates have keys and signatures of ML-DSA-44 (FIPS 204): the openssl of the system is their CA."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from scenarios.test_revocation import Scene as Revoking
from scenarios.test_revocation import another, answered, credentials_of, leaf_of, revoke
from sipmesh.client.agent import UserAgent
from sipmesh.client.judge import Trust
from sipmesh.demo.forge import Forge, Forged, KeyKind, Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.view import certificate_names
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.network import EXAMPLE, FE1, FE2, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until

ML_DSA = KeyKind.ML_DSA_44
CONFIG = """\
[ca]
default_ca = here
[here]
database = {folder}/index
crlnumber = {folder}/number
default_md = null
default_crl_days = 9
unique_subject = no
"""
CA = "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"
LEAF = """\
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName={names}
"""


def relies_on(organisation: Organisation, root: bytes, *crls: str) -> None:
    """Let the topology have this root and the CRLs in ``ca/``, and no others."""
    folder = organisation.folder / "anchors"
    folder.mkdir(exist_ok=True)
    (folder / "pq-root.pem").write_bytes(root)
    authority: Any = organisation.document["authority"]
    authority.update({"anchors": ["anchors/pq-root.pem"], "crls": [f"ca/{name}" for name in crls]})
    organisation.write()


@dataclass
class OpensslCa:
    """A root of ``openssl req`` that issues by ``openssl x509``, in the folder ``ca/`` of *organisation*."""

    organisation: Organisation

    def __post_init__(self) -> None:
        self.folder = self.organisation.folder / "ca"
        extensions = (word for extension in CA for word in ("-addext", extension))
        self.run("req", "-x509", "-newkey", "ML-DSA-44", "-nodes", "-keyout", "pq-root.key", "-out", "pq-root.pem",
                 "-subj", "/O=Example/CN=Post-quantum root", "-days", "30", *extensions)  # fmt: skip
        (self.folder / "index").touch()
        (self.folder / "number").write_text("01\n")
        (self.folder / "pq.cnf").write_text(CONFIG.format(folder=self.folder))
        self.run("ca", "-config", "pq.cnf", "-gencrl", "-keyfile", "pq-root.key", "-cert", "pq-root.pem",
                 "-md", "null", "-out", "pq-root.crl")  # fmt: skip
        relies_on(self.organisation, (self.folder / "pq-root.pem").read_bytes(), "pq-root.crl")

    def run(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def certify(self, server: str) -> None:
        """Give *server* a key, as its seed, and a certificate with its names of the topology."""
        names = certificate_names(self.organisation.load().topology, server)
        listed = ",".join(f"DNS:{name},URI:sip:{name}" for name in names)
        (self.folder / "ext").write_text(LEAF.format(names=listed))
        file = self.organisation.folder / "servers" / server
        self.run(
            "genpkey", "-algorithm", "ML-DSA-44", "-provparam", "ml-dsa.output_formats=seed-only", "-out", f"{file}.key"
        )
        self.run("req", "-new", "-key", f"{file}.key", "-out", "csr", "-subj", f"/CN={server}")
        self.run("x509", "-req", "-in", "csr", "-CA", "pq-root.pem", "-CAkey", "pq-root.key", "-days", "9",
                 "-extfile", "ext", "-out", f"{file}.pem")  # fmt: skip


@pytest.mark.peer("openssl")
@on_loop
async def test_servers_with_certificates_of_openssl_carry_messages_for_clients_that_trust_its_root(
    example: Organisation,
) -> None:
    ca = OpensslCa(example)
    for server in (FE1, FE2):
        ca.certify(server)
    async with Network((example,), starts=(FE1, FE2)) as network:
        trust = Trust.of_pem((example.folder / "ca" / "pq-root.pem").read_bytes())
        alice, bob = (UserAgent(f"{user}@{EXAMPLE}", f"{user}-secret", trust=trust) for user in ("alice", "bob"))
        for agent, server in ((alice, FE1), (bob, FE2)):
            await agent.connect(*network.address(server))
            assert (await agent.register()).status == 200
        assert (await alice.message(f"bob@{EXAMPLE}", "from one front end to the other")).ok
        links = [link for link in network.nodes[FE1].pool.all() if link.kind is LinkKind.SERVER]
        assert links
        for link in links:
            assert link.verdict is not None
            assert link.verdict.code is Code.ACCEPTED
        for file in (example.folder / "servers").glob("fe[12]*.pem"):
            assert isinstance(x509.load_pem_x509_certificate(file.read_bytes()).public_key(), MLDSA44PublicKey)
        for agent in (alice, bob):
            await agent.close()


def ca_of_ml_dsa(organisation: Organisation) -> EnterpriseCa:
    """Let a CA of ML-DSA-44 issue the certificates of all servers, instead of the present CA."""
    folder = organisation.folder / "ca"
    shutil.rmtree(folder)
    algorithm = KeyAlgorithm.ML_DSA_44
    at = organisation.issued_at or datetime.now(UTC)
    ca = EnterpriseCa.create(folder, "Example", at, crl_base="http://crl.test", algorithm=algorithm)
    organisation.issue_all()
    return ca


@on_loop
async def test_revocation_closes_the_open_link_of_the_certificate_and_no_other(example: Organisation) -> None:
    ca_of_ml_dsa(example)
    async with Revoking(example, FE1) as scene:
        stolen = await scene.link(credentials_of(example, FE2))
        renewed = await scene.link(another(example, FE2))
        revoke(example, leaf_of(stolen.credentials))
        await stolen.falls()
        assert scene.closed("CRLs in force") == [stolen.id]
        await renewed.stays()
        await scene.refuses(stolen.credentials, "revoked")


@on_loop
async def test_servers_below_our_own_ca_carry_messages_until_one_is_revoked(
    example: Organisation, tmp_path: Path
) -> None:
    ca, at = ca_of_ml_dsa(example), datetime.now(UTC)
    thief = tmp_path / "thief"
    thief.mkdir()
    stolen = tuple(Path(shutil.copy(file, thief)) for file in example.credentials(FE2))
    leaf = read_certificates(stolen[0])[0]
    async with Network((example,), starts=(FE1, FE2)) as network:
        trust = Trust.of_pem((example.folder / "ca" / "root.pem").read_bytes())
        alice, bob = (UserAgent(f"{user}@{EXAMPLE}", f"{user}-secret", trust=trust) for user in ("alice", "bob"))
        for agent, server in ((alice, FE1), (bob, FE2)):
            await agent.connect(*network.address(server))
            assert (await agent.register()).status == 200
        assert (await alice.message(f"bob@{EXAMPLE}", "below a CA of ours")).ok
        for agent in (alice, bob):
            await agent.close()
    ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, at)
    async with Network((example,), starts=(FE1,)) as network:
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(
                network.address(FE1, LinkKind.SERVER), credentials=(stolen[0], stolen[1])
            ) as peer:
                await answered(peer)
        await until(lambda: bool(network.nodes[FE1].gatekeeper.refusals))
        assert network.nodes[FE1].gatekeeper.refusals[-1].code is Code.REVOKED


# Attacks: each certificate has one fault, and the control has none


@dataclass
class Scene:
    """A root and an issuing CA of ML-DSA-44; *names* are those of the second front end."""

    forge: Forge
    issuing: Forged
    names: tuple[str, ...]
    folder: Path

    def right(self, **changes: Any) -> Forged:
        return self.forge.server(self.issuing, *self.names, **{"key": ML_DSA, **changes})

    @property
    def root(self) -> Forged:
        assert self.issuing.issuer is not None
        return self.issuing.issuer


def namesake(scene: Scene) -> Forged:
    """Of CAs with the same names, and other keys."""
    forge = Forge(scene.forge.at)
    root = forge.root("pq root", key=ML_DSA)
    return forge.server(forge.authority("pq issuing CA", root, key=ML_DSA), *scene.names, key=ML_DSA)


def tampered(scene: Scene) -> Forged:
    """With a signature of which one octet is another."""
    made = scene.right()
    der = bytearray(made.certificate.public_bytes(Encoding.DER))
    der[-100] ^= 1
    return Forged(x509.load_der_x509_certificate(bytes(der)), made.key, scene.issuing)


def another_set(scene: Scene) -> Forged:
    """With a key of another parameter set."""
    key: Any = MLDSA65PrivateKey.generate()
    return scene.forge.forge(Wish(FE2, names=scene.names), scene.issuing, reuse=key)


FAULTS: dict[str, tuple[Callable[[Scene], Forged], tuple[Code, ...]]] = {
    "none": (lambda scene: scene.right(), ()),
    "CAs of the same names": (namesake, (Code.UNTRUSTED_ISSUER, Code.HANDSHAKE_FAILED)),
    "signature": (tampered, (Code.UNTRUSTED_ISSUER, Code.HANDSHAKE_FAILED)),
    "ML-DSA-65": (another_set, (Code.WEAK_KEY, Code.HANDSHAKE_FAILED)),
    "revoked": (lambda scene: scene.right(serial=7), (Code.REVOKED,)),
    "expired": (lambda scene: scene.right(ends=timedelta(minutes=-9)), (Code.EXPIRED,)),
    "no server of ours": (
        lambda scene: scene.forge.server(scene.issuing, "evil.test", key=ML_DSA),
        (Code.NOT_IN_TOPOLOGY,),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@on_loop
async def test_certificate_with_one_fault_opens_no_link_to_a_server(
    example: Organisation, tmp_path: Path, fault: str
) -> None:
    forge = Forge(datetime.now(UTC))
    issuing = forge.authority("pq issuing CA", forge.root("pq root", key=ML_DSA), key=ML_DSA)
    topology = example.load().topology
    scene = Scene(forge, issuing, certificate_names(topology, FE2), tmp_path)
    folder = example.folder / "ca"
    (folder / "pq-root.crl").write_bytes(forge.revocations(scene.root))
    (folder / "pq-issuing.crl").write_bytes(forge.revocations(issuing, [7]))
    relies_on(example, scene.root.pem_chain, "pq-root.crl", "pq-issuing.crl")
    forge.server(issuing, *certificate_names(topology, FE1), key=ML_DSA).write(example.folder / "servers", FE1)
    make, codes = FAULTS[fault]
    shown = make(scene).write(tmp_path, "shown")
    async with Network((example,), starts=(FE1,)) as network:
        node = network.nodes[FE1]
        if not codes:
            async with await Peer.open(network.address(FE1, LinkKind.SERVER), credentials=shown) as peer:
                await answered(peer)
            return
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(network.address(FE1, LinkKind.SERVER), credentials=shown) as peer:
                await answered(peer)
        await until(lambda: bool(node.gatekeeper.refusals))
        assert node.gatekeeper.refusals[-1].code in codes
