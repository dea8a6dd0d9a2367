"""A server gets its certificate of a public CA by itself, keeps the old one if anything fails, and tells why."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.pki.files import certificates_pem
from sipmesh.server.admin.metrics.versions import version_metrics
from sipmesh.server.admin.status_report import status_of
from support.network import FE1
from support.pebble import WEB, Pebble, pebble
from support.public_ca import FAILED, ISSUED, Site, reached, renewal_of
from support.running import on_loop, until
from support.service import serving_here

pytestmark = pytest.mark.peer("pebble")
LIVES = timedelta(days=60)


async def root_of(ca: Pebble) -> Path:
    """The root that phones know."""
    file = ca.folder / "issues.pem"
    file.write_bytes(certificates_pem([await ca.root()]))
    return file


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
@on_loop
async def test_phone_accepts_the_certificate_that_the_server_got(
    example: Organisation, tmp_path: Path, challenge: str
) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca", certificateValidityPeriod=7776000) as ca:
        port = ca.http_port if challenge == "http-01" else ca.tls_port
        await site.orders_from(ca, challenge=challenge, port=port)
        async with serving_here(example, site.told) as node:
            leaf = await site.issued()
            await until(lambda: node.certificates.for_clients.identities)
            assert await site.presented(FE1, await root_of(ca)) == leaf.serial_number
            with pytest.raises(ssl.SSLError):
                await site.presented("example.test", await root_of(ca))  # the control: our own, which it does not know
            assert not reached(port)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [FE1]
    assert [file.stat().st_mode & 0o777 for file in (site.key, site.account)] == [0o600, 0o600]


@on_loop
async def test_second_start_orders_nothing_and_a_due_certificate_is_renewed(
    example: Organisation, tmp_path: Path
) -> None:
    async with pebble(tmp_path / "ca", certificateValidityPeriod=7776000) as ca:
        site = Site(example)
        await site.orders_from(ca)
        async with serving_here(example, site.told):
            first = await site.issued()
        again = Site(example)
        async with serving_here(example, again.told):
            await until(lambda: "/draft-ietf-acme-ari" in (ca.folder / "pebble.log").read_text().rpartition("dir")[2])
        assert list(again.told.events(ISSUED)) == []
        account = site.account.read_bytes()
        due = at_the_end_of_its_life(site)
        renewing = Site(example)
        async with serving_here(example, renewing.told) as node:
            second = await renewing.issued()
            await until(lambda: node.certificates.for_clients.identities[0].leaf == second)
    assert len({first.serial_number, due.certificate.serial_number, second.serial_number}) == 3
    assert site.account.read_bytes() == account


def at_the_end_of_its_life(site: Site) -> Forged:
    """Put a certificate there of whose lifetime less than a third is left."""
    forge = Forge(datetime.now(UTC) - LIVES)
    made = forge.server(forge.root("a CA"), dns=(FE1,), ends=LIVES + timedelta(days=20))
    site.wrote(made)
    return made


@on_loop
async def test_old_certificate_stays_in_use_while_the_ca_refuses_and_status_tells_the_remedy(
    example: Organisation, tmp_path: Path
) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca", domainBlocklist=[FE1]) as ca:
        await site.orders_from(ca)
        old = at_the_end_of_its_life(site)
        async with serving_here(example, site.told) as node:
            why = await site.failed()
            assert "the CA refuses: rejectedIdentifier" in why
            [identity] = node.certificates.for_clients.identities
            assert identity.leaf == old.certificate
            assert why in renewal_of(node)
            status = status_of(node)
            assert (status.renewal_fault, status.renewal_remedy) == tuple(renewal_of(node).split(" | "))
            assert failing(node) > 0
    assert x509.load_pem_x509_certificate(site.file.read_bytes()) == old.certificate


def failing(node: object) -> float:
    """What the metrics say: for how many seconds the orders have failed."""
    metrics = {one.name: one for one in version_metrics(node)}  # type: ignore[arg-type]
    [sample] = metrics["sipmesh_public_certificate_failing_seconds"].samples
    return float(sample.value)


@on_loop
async def test_missing_proof_names_the_port_that_must_lead_here(example: Organisation, tmp_path: Path) -> None:
    """The CA looks at another port than that at which this server answers."""
    site = Site(example)
    async with pebble(tmp_path / "ca") as ca:
        await site.orders_from(ca, port=ca.tls_port)
        async with serving_here(example, site.told) as node:
            assert "the CA finds no proof" in await site.failed()
            assert f"port 80 must lead from the Internet to {HOST} port {ca.tls_port}" in renewal_of(node)


@on_loop
async def test_taken_port_is_a_fault_with_its_remedy(example: Organisation, tmp_path: Path) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca") as ca:
        await site.orders_from(ca, port=ca.port)
        async with serving_here(example, site.told) as node:
            assert "address already in use" in await site.failed()
            assert f"free port {ca.port}" in renewal_of(node)


@pytest.mark.parametrize("networks", [[], ["127.0.0.0/8"]])
@on_loop
async def test_name_of_the_ca_leads_to_this_machine_only_where_the_topology_allows_it(
    example: Organisation, tmp_path: Path, networks: list[str]
) -> None:
    """An attacker of DNS would send the server to a port of this machine."""
    site, dns = Site(example), NameServer({(WEB, "A"): [HOST]})
    await dns.start(HOST)
    try:
        async with pebble(tmp_path / "ca") as ca:
            example.document["dns"] = {"servers": [dns.setting]}
            example.document["federation"] = {"networks": networks}
            await site.orders_from(ca, directory=f"https://{WEB}:{ca.port}/dir")
            async with serving_here(example, site.told):
                if networks:
                    await site.issued()
                else:
                    assert f"{WEB} is {HOST}, on this machine" in await site.failed()
                    assert "GET /dir" not in (ca.folder / "pebble.log").read_text()
    finally:
        dns.close()


@on_loop
async def test_ca_whose_https_has_another_root_gets_no_request(example: Organisation, tmp_path: Path) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca") as ca, pebble(tmp_path / "other") as other:
        await site.orders_from(ca, directory=other.directory)
        async with serving_here(example, site.told):
            assert "its TLS certificate is refused" in await site.failed()
    assert "GET /dir" not in (other.folder / "pebble.log").read_text()


@on_loop
async def test_missing_root_names_the_file(example: Organisation) -> None:
    site = Site(example)
    site.writes({"directory": "https://127.0.0.1:1/dir", "anchors": ["anchors/none.pem"]})
    async with serving_here(example, site.told):
        assert "anchors/none.pem" in await site.failed()
        assert [line["remedy"] for line in site.told.events(FAILED)] == ["put the root of the CA there, on this server"]


@on_loop
async def test_another_ca_in_the_topology_counts_at_once(example: Organisation, tmp_path: Path) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca") as ca:
        await site.orders_from(ca, directory="https://127.0.0.1:1/dir")
        async with serving_here(example, site.told):
            assert "the CA cannot be reached" in await site.failed()
            await site.orders_from(ca)
            await until(lambda: list(site.told.events(ISSUED)))
