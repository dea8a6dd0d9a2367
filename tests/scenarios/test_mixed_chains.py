"""Chains of ML-DSA-44 and P-256 CAs and servers, and HashML-DSA, over real links to a front end that trusts a root of each."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from scenarios.test_revocation import answered
from sipmesh.demo.forge import Forge, Forged, KeyKind
from sipmesh.demo.organisation import Organisation
from sipmesh.topology.view import certificate_names
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE2, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until

ML_DSA, P_256 = KeyKind.ML_DSA_44, KeyKind.EC_P256
KINDS = (P_256, ML_DSA)
REVOKED = 7
PURE = bytes.fromhex("0609608648016503040311")
"""The object identifier of ML-DSA-44, in DER."""
HASHED = bytes.fromhex("0609608648016503040320")
"""That of HashML-DSA-44 with SHA-512, of the same length; no certificate may have it (RFC 9881 2)."""
SHA512 = bytes.fromhex("0609608648016503040203")


class Cas:
    """Two roots, each with two issuing CAs, in the topology of *organisation*; *names* are those of the second front end."""

    def __init__(self, organisation: Organisation) -> None:
        self.forge = Forge(datetime.now(UTC))
        topology = organisation.load().topology
        self.names = certificate_names(topology, FE2)
        roots = {kind: self.forge.root(f"{kind.value} root", key=kind) for kind in KINDS}
        self.issuing = {
            (above, kind): self.forge.authority(f"{kind.value} below {above.value}", roots[above], key=kind)
            for above, kind in product(KINDS, KINDS)
        }
        folder = organisation.folder / "anchors"
        folder.mkdir()
        for kind, root in roots.items():
            (folder / f"{kind.value}.pem").write_bytes(root.pem_chain)
        crls = {
            f"ca/mixed{n}.crl": self.forge.revocations(one, [REVOKED])
            for n, one in enumerate([*roots.values(), *self.issuing.values()])
        }
        for name, crl in crls.items():
            (organisation.folder / name).write_bytes(crl)
        authority: Any = organisation.document["authority"]
        authority.update({"anchors": [f"anchors/{kind.value}.pem" for kind in KINDS], "crls": [*crls]})
        organisation.write()
        own = self.forge.server(self.issuing[ML_DSA, P_256], *certificate_names(topology, FE1))
        own.write(organisation.folder / "servers", FE1)

    def leaf(self, root: KeyKind, issuing: KeyKind, leaf: KeyKind, **changes: Any) -> Forged:
        return self.forge.server(self.issuing[root, issuing], *self.names, key=leaf, **changes)


async def refused(network: Network, shown: tuple[Path, Path]) -> Code:
    """The code with which the front end refuses a peer that shows these files."""
    refusals = network.nodes[FE1].gatekeeper.refusals
    before = len(refusals)
    with pytest.raises((HungUpError, OSError)):
        async with await Peer.open(network.address(FE1, LinkKind.SERVER), credentials=shown) as peer:
            await answered(peer)
    await until(lambda: len(refusals) > before)
    return refusals[-1].code


@on_loop
async def test_each_mixed_chain_opens_a_link_and_none_that_is_revoked_or_of_another_ca(
    example: Organisation, tmp_path: Path
) -> None:
    """The key of the CA decides nothing: a server is below it by signature, with a key of either algorithm."""
    cas = Cas(example)
    async with Network((example,), starts=(FE1,)) as network:
        for n, kinds in enumerate(product(KINDS, KINDS, KINDS)):
            shown = cas.leaf(*kinds).write(tmp_path, f"{n}")
            async with await Peer.open(network.address(FE1, LinkKind.SERVER), credentials=shown) as peer:
                await answered(peer)
            revoked = cas.leaf(*kinds, serial=REVOKED).write(tmp_path, f"{n}.revoked")
            assert await refused(network, revoked) is Code.REVOKED
            root, issuing, leaf = kinds
            above = cas.issuing[root, issuing]
            usurped = Forged(above.certificate, (issuing if issuing is leaf else leaf).make(), above.issuer)
            forged = cas.forge.server(usurped, *cas.names, key=leaf).write(tmp_path, f"{n}.forged")
            assert await refused(network, forged) is Code.UNTRUSTED_ISSUER


# A signature by one key under the name of another algorithm


def content(octets: bytes, tag: int = 0x30) -> bytes:
    """*octets* as one DER value."""
    size = len(octets)
    width = (size.bit_length() + 7) // 8
    return bytes([tag, size] if size < 0x80 else [tag, 0x80 | width, *size.to_bytes(width, "big")]) + octets


def pure(key: Any, signed: bytes, _: Path) -> bytes:
    return bytes(key.sign(signed))


def hashed(key: Any, signed: bytes, folder: Path) -> bytes:
    """The signature of HashML-DSA-44 with SHA-512 (FIPS 204 5.4); openssl signs the octets that the standard has for it."""
    (folder / "ca.key").write_bytes(Forged(None, key).pem_key)  # type: ignore[arg-type]
    (folder / "octets").write_bytes(b"\x01\x00" + SHA512 + hashlib.sha512(signed).digest())
    command = ("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "ca.key", "-in", "octets", "-pkeyopt",
               "message-encoding:0")  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def resigned(made: Forged, changed: bytes, to: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The certificate *made* with one object identifier in place of another, in DER, signed again."""
    whole = made.certificate.tbs_certificate_bytes
    assert whole.count(changed) >= 1
    body = whole.replace(changed, to)
    return content(body + content(to) + content(b"\x00" + sign(body), 0x03))


@pytest.mark.parametrize("case", ["pure", "hashed", "pure, called hashed", "hashed, called pure"])
@pytest.mark.peer("openssl")
@on_loop
async def test_certificate_with_a_signature_of_hash_ml_dsa_is_refused(
    example: Organisation, tmp_path: Path, case: str
) -> None:
    """RFC 9881 2 forbids it in certificates; a signature of one kind is none of the other."""
    cas = Cas(example)
    made = cas.leaf(ML_DSA, ML_DSA, P_256)
    above = cas.issuing[ML_DSA, ML_DSA]
    octets, _, name = case.partition(", called ")
    sign = partial({"pure": pure, "hashed": hashed}[octets], above.key)
    named = {"pure": PURE, "hashed": HASHED}[name or octets]
    der = resigned(made, PURE, named, lambda body: sign(body, tmp_path))
    shown = made.write(tmp_path, "shown")
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    shown[0].write_bytes(pem + above.pem_chain)
    async with Network((example,), starts=(FE1,)) as network:
        if case == "pure":
            async with await Peer.open(network.address(FE1, LinkKind.SERVER), credentials=shown) as peer:
                await answered(peer)
            return
        assert await refused(network, shown) is Code.UNTRUSTED_ISSUER


@on_loop
async def test_signature_of_another_algorithm_than_the_certificate_names_is_refused(
    example: Organisation, tmp_path: Path
) -> None:
    """A P-256 CA has signed, and the certificate names ML-DSA-44 as the algorithm."""
    cas = Cas(example)
    above = cas.issuing[ML_DSA, P_256]
    made = cas.leaf(ML_DSA, P_256, P_256)
    key = above.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    ecdsa = content(bytes.fromhex("06082a8648ce3d040302"))
    body = made.certificate.tbs_certificate_bytes
    changed = content(body[4:].replace(ecdsa, content(PURE), 1))  # without the tag and the length
    der = content(changed + content(PURE) + content(b"\x00" + key.sign(changed, ec.ECDSA(SHA256())), 0x03))
    shown = made.write(tmp_path, "shown")
    shown[0].write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) + above.pem_chain)
    async with Network((example,), starts=(FE1,)) as network:
        assert await refused(network, shown) is Code.UNTRUSTED_ISSUER
