"""Two partners that trust different CAs: our edge presents to each what this partner trusts, in both directions."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.network import (
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    Network,
    copied_with_ports,
    federate,
    text,
)
from support.running import on_loop, until

FOR_PARTNER = "sip-for-partner.example.test"
"""The name that this partner alone has for our edge."""

OTHER = "other.test"
STARTS = (FE1, FE2, EDGE, PARTNER_FE, PARTNER_EDGE)


class OtherCa:
    """A CA that one partner trusts for us, and no other partner."""

    def __init__(self, folder: Path) -> None:
        self._forge, self.folder = Forge(datetime.now(UTC)), folder
        self.issuing = self._forge.organisation("Alpha")
        folder.mkdir()
        assert self.issuing.issuer is not None
        self.root = self.issuing.issuer.certificate
        (folder / "root.pem").write_bytes(self.root.public_bytes(Encoding.PEM))
        for name, ca in (("root", self.issuing.issuer), ("issuing", self.issuing)):
            (folder / f"{name}.crl").write_bytes(self._forge.revocations(ca))

    def issue(self, *names: str, **changes: Any) -> Forged:
        return self._forge.server(self.issuing, *names, **changes)

    def trusted(self) -> dict[str, Any]:
        """The keys of an entry that trusts this CA."""
        return {
            "anchors": [str(self.folder / "root.pem")],
            "crls": [str(self.folder / f"{name}.crl") for name in ("root", "issuing")],
        }


def edge_of(example: Organisation) -> dict[str, Any]:
    document: Any = example.document
    servers = [server for pool in document["pools"] for server in pool["servers"]]
    found: dict[str, Any] = next(server for server in servers if server["name"] == EDGE)
    return found


@pytest.fixture(name="partner")
def _partner(partner_model: Organisation, tmp_path: Path) -> Organisation:
    return copied_with_ports(partner_model, tmp_path / "p")


@pytest.fixture(name="ca")
def _ca(tmp_path: Path) -> OtherCa:
    return OtherCa(tmp_path / "alpha")


def world(example: Organisation, partner: Organisation, ca: OtherCa, *names: str, **pair: str) -> Network:
    """Both organisations; the partner trusts *ca* alone for us, and our edge has a certificate of it with *names*."""
    federate(example, partner)
    ours = f"{FOR_PARTNER}:{example.ports[EDGE][LinkKind.PARTNER]}"
    partner.federate(PARTNER_EDGES, [{"domains": [EXAMPLE], "edge": ours, **ca.trusted()}])
    partner.write()
    chain, key = ca.issue(*names).write(ca.folder, "edge")
    entry = {"partner": PARTNER, "certificate": str(chain), "key": str(key), **pair}
    edge_of(example).setdefault("outside", {})["partners"] = [entry]
    example.write()
    network = Network((example, partner), starts=STARTS)
    for name in (EDGES, PARTNER_EDGES, FOR_PARTNER):
        network.dns.records[name, "A"] = ["127.0.0.1"]
    return network


NAMES = (EDGES, EXAMPLE, FOR_PARTNER)


async def shown(network: Network, name: str, server: str = PARTNER_EDGE) -> x509.Name:
    """Return the issuer of what our edge presents to a peer that asks for *name*, with the credentials of *server*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*network.credentials(server))
    address = network.address(EDGE, LinkKind.PARTNER)
    _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(der).issuer


@on_loop
async def test_partner_that_trusts_another_ca_is_reached_and_reaches_us(
    example: Organisation, partner: Organisation, ca: OtherCa
) -> None:
    """The control: every other partner gets the certificate of the enterprise CA, under the names that it has for us."""
    async with world(example, partner, ca, *NAMES) as network:
        alice, erin = await network.agent("alice", FE1), await network.agent("erin", PARTNER_FE)
        for sender, receiver in ((alice, erin), (erin, alice)):
            assert (await sender.message(receiver.party.aor, "hello")).ok
            assert (await text(receiver)).sender == sender.party.aor
        assert await shown(network, FOR_PARTNER) == ca.issuing.certificate.subject
        for name in (EDGES, EXAMPLE, OTHER):
            assert await shown(network, name) == example.ca.issuing.subject


@on_loop
async def test_without_a_certificate_of_its_own_the_partner_refuses_us(
    example: Organisation, partner: Organisation, ca: OtherCa
) -> None:
    network = world(example, partner, ca, *NAMES)
    del edge_of(example)["outside"]["partners"]
    example.write()
    async with network:
        alice = await network.agent("alice", FE1)
        assert not (await alice.message(f"sip:erin@{PARTNER}", "hello")).ok


@on_loop
async def test_name_in_the_sni_accepts_no_peer(example: Organisation, partner: Organisation, ca: OtherCa) -> None:
    """Neither a peer with a certificate of the CA that we present, nor one without: the anchors are those of the topology."""
    async with world(example, partner, ca, *NAMES) as network:
        refused = network.told[EDGE]
        thief = ca.issue(PARTNER_EDGES, PARTNER).write(ca.folder, "thief")
        for credentials in (thief, None):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if credentials is not None:
                context.load_cert_chain(*credentials)
            address = network.address(EDGE, LinkKind.PARTNER)
            before = len(list(refused.events("link refused")))
            reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=FOR_PARTNER)
            with suppress(OSError):  # the alert of our edge
                assert await reader.read() == b""
            writer.transport.abort()
            await until(lambda before=before: len(list(refused.events("link refused"))) > before)  # type: ignore[misc]
        erin, alice = await network.agent("erin", PARTNER_FE), await network.agent("alice", FE1)
        assert (await erin.message(alice.party.aor, "hello")).ok


@on_loop
async def test_file_of_one_partner_stops_no_other(example: Organisation, partner: Organisation, ca: OtherCa) -> None:
    """It is missing at the start: the partner gets the certificate of all. It is used once it is there."""
    async with world(example, partner, ca, *NAMES, certificate=str(ca.folder / "late.pem")) as network:
        line = network.told[EDGE].last("certificate for a partner rejected: the partner gets what it got before")
        assert (line["partner"], "late.pem" in line["why"]) == (PARTNER, True)
        assert await shown(network, FOR_PARTNER) == example.ca.issuing.subject
        (ca.folder / "late.pem").write_bytes((ca.folder / "edge.pem").read_bytes())
        network.nodes[EDGE].put_in_force(example.load())
        assert await shown(network, FOR_PARTNER) == ca.issuing.certificate.subject
        [(name, chain)] = network.nodes[EDGE].use().for_partners.items()
        assert (name, chain.fault, len(chain.certificates)) == (PARTNER, "", 2)


@on_loop
async def test_certificate_without_a_name_of_its_own_is_logged(
    example: Organisation, partner: Organisation, ca: OtherCa
) -> None:
    async with world(example, partner, ca, EDGES, EXAMPLE) as network:
        line = network.told[EDGE].last(
            "the certificate for a partner has no name of its own: if the partner connects, it gets that of all partners"
        )
        assert line["partner"] == PARTNER
        assert await shown(network, EDGES) == example.ca.issuing.subject
