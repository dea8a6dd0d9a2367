"""The metrics of a front end over TLS: a token or a certificate of an operator reads them, and Prometheus does so."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from scenarios.test_monitoring import asked, is_read, prometheus
from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.files import certificates_pem, key_pem
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.console import management_with_console, operator_credentials
from support.managed import MGMT, Credentials, Managed, servers_of
from support.network import FE1, FE2, POOL
from support.running import LOOK_AGAIN_S, on_loop


@dataclass
class Figures:
    """The port of the metrics of FE1."""

    network: Managed
    port: int

    async def read(
        self, path: str = "/metrics", token: str = "", credentials: Credentials | None = None
    ) -> tuple[int, str]:
        """Ask once; the name and the chain of the server are checked."""
        context = ssl.create_default_context(cafile=str(self.network.organisation.root))
        if credentials is not None:
            context.load_cert_chain(*credentials)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.get(f"https://{HOST}:{self.port}{path}", ssl=context, server_hostname=FE1) as answer,
        ):
            return answer.status, await answer.text()


@asynccontextmanager
async def front_end(folder: Path) -> AsyncIterator[Figures]:
    port = free_port()

    def change(document: dict[str, Any]) -> None:
        for server in servers_of(document, POOL):
            if server["name"] == FE1:
                server |= {"metrics": port, "metrics_tls": True}

    async with management_with_console(folder, client_certificates=True) as network:
        await network.publish(change, force=True)
        await network.start(FE1)
        if not network.nodes[FE1].view.metrics_tls:  # it has begun with the version before
            await network.in_force(network.number(MGMT), FE1)
            await network.stop(FE1)
            await network.start(FE1)
        yield Figures(network, port)


def device_credentials(network: Managed, folder: Path) -> Credentials:
    ca, at = CaGenerations(network.organisation.folder / "ca").current, datetime.now(UTC)
    made = ca.certify_devices(["example.test"], at).issue_device(DeviceIdentity("sip:alice@example.test", "desk"), at)
    chain, key = folder / "device.pem", folder / "device.key"
    chain.write_bytes(certificates_pem((made.certificate, *made.issuers)))
    key.write_bytes(key_pem(made.key))
    return chain, key


async def presented(figures: Figures) -> int:
    """Return the serial number of the certificate that the port presents to a client without SNI."""
    context = ssl.create_default_context(cafile=str(figures.network.organisation.root))
    context.check_hostname = False
    _, writer = await asyncio.open_connection(HOST, figures.port, ssl=context, server_hostname="")
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"").serial_number
    finally:
        writer.close()


@on_loop
async def test_operator_reads_them_and_a_stranger_a_server_and_a_device_do_not(tmp_path: Path) -> None:
    async with front_end(tmp_path) as figures:
        network = figures.network
        for path in ("/metrics", "/health"):
            assert (await figures.read(path, "vera-token"))[0] == 200
            assert (await figures.read(path, credentials=operator_credentials(network, "vera", tmp_path)))[0] == 200
            for token, credentials in (
                ("", None),
                ("wrong", None),
                ("", operator_credentials(network, "eve", tmp_path)),
                ("", (network.credentials(FE2))),
                ("", device_credentials(network, tmp_path)),
            ):
                status, text = await figures.read(path, token, credentials)
                assert status == 401
                assert "sipmesh_" not in text
        with pytest.raises(aiohttp.ClientError):
            async with aiohttp.ClientSession() as client, client.get(f"http://{HOST}:{figures.port}/metrics"):
                pass


@on_loop
async def test_each_handshake_presents_the_certificate_that_is_in_use(tmp_path: Path) -> None:
    async with front_end(tmp_path) as figures:
        network = figures.network
        node = network.nodes[FE1]
        before = await presented(figures)
        issued = CaGenerations(network.organisation.folder / "ca").current.issue(
            certificate_names(node.view.loaded.topology, FE1), node.view.role, datetime.now(UTC)
        )
        files = network.folder(FE1) / "servers"
        issued.write(files / f"{FE1}.pem", files / f"{FE1}.key")
        node.certificates.read_again()
        assert list(node.certificates.faults) == []
        assert node.certificates.presented.of(LinkKind.SERVER).leaf == issued.certificate
        assert before != await presented(figures) == issued.certificate.serial_number


@on_loop
@pytest.mark.peer("promtool")
async def test_prometheus_reads_a_front_end_over_tls(tmp_path: Path) -> None:
    """Each refused job differs from a job that works in one property."""
    async with front_end(tmp_path) as figures:
        tls = {"ca_file": str(figures.network.organisation.root), "server_name": FE1}
        token = {"authorization": {"credentials": "vera-token"}}
        chain, key = operator_credentials(figures.network, "vera", tmp_path)
        server_chain, server_key = figures.network.credentials(FE2)
        jobs: dict[str, dict[str, Any]] = {
            "token": {"tls_config": tls, **token},
            "certificate": {"tls_config": {**tls, "cert_file": str(chain), "key_file": str(key)}},
            "other-name": {"tls_config": {**tls, "server_name": FE2}, **token},
            "other-token": {"tls_config": tls, "authorization": {"credentials": "wrong"}},
            "server": {"tls_config": {**tls, "cert_file": str(server_chain), "key_file": str(server_key)}},
            "none": {"tls_config": tls},
        }
        target = [{"targets": [f"127.0.0.1:{figures.port}"]}]
        common: dict[str, Any] = {"scheme": "https", "scrape_interval": "1s", "static_configs": target}
        config = {"scrape_configs": [{"job_name": name, **common, **job} for name, job in jobs.items()]}
        async with prometheus(tmp_path, config) as api:
            while not await is_read(api, 1, "token") or len(await asked(api, "up")) < len(jobs):
                await asyncio.sleep(LOOK_AGAIN_S)
            while not await is_read(api, 1, "certificate"):
                await asyncio.sleep(LOOK_AGAIN_S)
            up = {one["metric"]["job"]: one["value"][1] for one in await asked(api, "up")}
    assert up == {"token": "1", "certificate": "1", "other-name": "0", "other-token": "0", "server": "0", "none": "0"}
