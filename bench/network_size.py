"""How what a server does with a topology grows with the servers and partners in it; nothing is run, all of it is called.

Time drifts with the machine. Calls, of Python functions and of C functions that these call, are the same in each run.
"""

from __future__ import annotations

import gc
import io
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from ruamel.yaml import YAML

from bench.table import number, table
from sipmesh.demo.forge import Forge
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.server.in_force.in_force import Current, Lasting, in_force_of
from sipmesh.server.proxy.gatekeeper import Gatekeeper
from sipmesh.server.proxy.login.user_stores import NoUsers
from sipmesh.server.proxy.outside import Outside
from sipmesh.topology.document.load import load_text
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.jose import open_signed, sign
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Draft, Publication
from sipmesh.topology.view import view
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.role import Role

SERVERS = (20, 200, 2000)
PARTNERS = (5, 50, 500)
DOMAIN = "example.test"
A_POOL = 10
"""Servers of one pool: a large network has many pools, not large pools."""

ME, PEER = f"fe0.{DOMAIN}", f"fe1.{DOMAIN}"
REPEATS = 3
JUDGED = 50


@dataclass
class Size:
    """What was measured of one network: seconds, calls and bytes by what was done."""

    servers: int
    partners: int
    repeats: int
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    size: dict[str, float] = field(default_factory=dict)

    def take(self, what: str, act: Callable[[], Any], repeats: int = 0, of: int = 1) -> Any:
        """Do *act*, which does the work *of* times: the least time of some, and the calls of one more."""
        best = float("inf")
        for _ in range(repeats or self.repeats):
            gc.collect()
            began = time.perf_counter()
            made = act()
            best = min(best, time.perf_counter() - began)
        self.seconds[what], self.calls[what] = best / of, counted(act) // of
        return made


def counted(act: Callable[[], Any]) -> int:
    """How many calls *act* makes, of Python functions and of C functions."""
    calls = 0

    def note(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    gc.disable()  # what it frees may call back
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


class Network:
    """A topology of so many servers and partners in *folder*, with the CA that signs it."""

    def __init__(self, folder: Path, servers: int, partners: int) -> None:
        self.folder, self.at = folder, datetime.now(UTC)
        folder.mkdir(parents=True)
        self.ca = EnterpriseCa.create(folder / "ca", DOMAIN, self.at, crl_base=f"http://crl.{DOMAIN}")
        (folder / "partners").mkdir()
        pools = [{"name": f"mgmt.{DOMAIN}", "role": "management", "servers": [f"mgmt.{DOMAIN}"]}]
        pools += list(_pools(servers - 2))
        pools.append(
            {"name": f"sip.{DOMAIN}", "role": "edge", "servers": [f"edge.{DOMAIN}"], "next_hop": f"pool0.{DOMAIN}"}
        )
        document = {
            "sipmesh": 1,
            "organisation": DOMAIN,
            "sip_domains": [DOMAIN],
            "authority": {"anchors": ["ca/root.pem"], "crls": ["ca/root.crl", "ca/issuing.crl"]},
            "pools": pools,
            "federation": {"route": f"sip.{DOMAIN}", "partners": [self._partner(n) for n in range(partners)]},
        }
        stream = io.StringIO()
        YAML(typ="safe", pure=True).dump(document, stream)
        self.file, self.text = folder / "topology.yaml", stream.getvalue().encode()

    def _partner(self, n: int) -> dict[str, Any]:
        forge, name = Forge(self.at), f"partner{n}.test"
        root = forge.root(f"partner {n} root")
        (self.folder / "partners" / f"{n}.pem").write_bytes(root.pem_chain)
        (self.folder / "partners" / f"{n}.crl").write_bytes(forge.revocations(root))
        files = {"anchors": [f"partners/{n}.pem"], "crls": [f"partners/{n}.crl"]}
        return {"domains": [name], "edge": f"sip.{name}", **files}

    def signer(self) -> tuple[tuple[x509.Certificate, ...], ec.EllipticCurvePrivateKey]:
        """The chain and the key that publications are signed by."""
        issued = self.ca.issue_signer(f"mgmt.{DOMAIN}", self.at)
        key = load_pem_private_key(issued.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("a signer has an EC key")
        return tuple(x509.load_pem_x509_certificates(issued.chain)), key

    def evidence(self) -> PeerEvidence:
        """What another front end shows in a handshake."""
        issued = self.ca.issue((PEER, DOMAIN), Role.FRONT_END, self.at)
        presented = tuple(one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(issued.chain))
        where = ("127.0.0.1", 5062)
        return PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, where, where, presented)


def _pools(servers: int) -> Iterator[dict[str, Any]]:
    for n, begin in enumerate(range(0, servers, A_POOL)):
        names = [f"fe{one}.{DOMAIN}" for one in range(begin, min(begin + A_POOL, servers))]
        members = [{"name": name, "machine": f"host{n}"} for name in names]
        yield {"name": f"pool{n}.{DOMAIN}", "role": "front-end", "servers": members}


def measure_one(folder: Path, servers: int, partners: int, repeats: int) -> Size:
    """Measure a network of this size: the least time of *repeats*, of one where the network is large and the act slow."""
    network, size = Network(folder, servers, partners), Size(servers, partners, repeats)
    few = repeats if servers <= SERVERS[1] else 1
    tracemalloc.start()
    held = load_text(network.text, network.file)
    _seen = view(held, ME)
    size.size["loaded, with the view of one server, MiB"] = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    loaded = size.take("load the document with all its files", lambda: load_text(network.text, network.file), few)
    size.take("view of one server", lambda: view(loaded, ME))
    evidence, keeper = (
        network.evidence(),
        Gatekeeper(Current(in_force_of(loaded, ME, Lasting(1, Gruus(b"key", ME), NoUsers()))), Outside()),
    )
    if not keeper.judge(evidence).accepted:
        raise ValueError("the peer is not let in")
    size.take("judge a peer that comes again", lambda: [keeper.judge(evidence) for _ in range(JUDGED)], of=JUDGED)
    others = [network.evidence() for _ in range(repeats + 1)]
    size.take("judge a peer that was never seen", lambda: keeper.judge(others.pop()))
    draft = size.take("read the draft to be published", lambda: Draft.read(network.text, network.file), few)
    payload = size.take("compile", lambda: draft.compiled(2, "ada", "because", at=network.at).encode())
    chain, key = network.signer()
    jws = size.take("sign", lambda: sign(payload, KIND, chain, key))
    opened = size.take("open: signature and form", lambda: Publication.decode(open_signed(jws, KIND).payload))
    size.take("load what was opened", lambda: load_published(opened, folder), few)
    size.take("difference in words, nothing changed", lambda: difference(loaded, draft.loaded))
    size.size["publication as it travels, KiB"] = len(jws) / 1024
    return size


def measure_size(folder: Path, servers: tuple[int, ...], partners: tuple[int, ...], repeats: int = REPEATS) -> str:
    """Measure networks of these sizes and tell as tables: what it takes, and how much more than in the smallest."""
    sizes = []
    for n, (many, others) in enumerate(zip(servers, partners, strict=True)):
        sys.stderr.write(f"{many} servers, {others} partners\n")
        sizes.append(measure_one(folder / str(n), many, others, repeats))
    heads = ("", *(f"{one.servers:,} servers, {one.partners:,} partners" for one in sizes), "most, in smallest")
    text = "Milliseconds, the least of some:\n\n"
    text += table(heads, ([what, *_row([one.seconds[what] * 1e3 for one in sizes])] for what in sizes[0].seconds))
    text += "\nCalls of functions, the same in each run:\n\n"
    text += table(heads, ([what, *_row([one.calls[what] for one in sizes])] for what in sizes[0].calls))
    text += "\nMemory and octets:\n\n"
    return text + table(heads, ([what, *_row([one.size[what] for one in sizes])] for what in sizes[0].size))


def _row(values: list[float]) -> list[str]:
    return [*map(number, values), f"{values[-1] / values[0]:.2f}" if values[0] else ""]
