"""Where the console listens, with which certificate, and who gets a code."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sipmesh.demo.forge import Forge
from sipmesh.demo.ports import HOST, free_port
from sipmesh.errors import OperatorError
from sipmesh.pki.files import certificates_pem
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import MGMT, Managed, build_managed
from support.running import on_loop, until


@on_loop
@pytest.mark.wide
async def test_new_version_moves_the_console_and_ends_it(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as before:
        assert (await before.get("/api/v1/status")).status == 200

        def move(document: dict[str, Any]) -> None:
            document["console"]["listen"] = f"{HOST}:{free_port()}"

        await network.publish(move)
        async with Visitor(network, "vera-token") as after:
            await until(lambda: len([*network.told[MGMT].events("console")]) == 2)
            assert (await after.get("/api/v1/status")).status == 200
            await network.publish(lambda document: document.pop("console"))
            assert (await after.get("/api/v1/status")).status == 404
        with pytest.raises(OperatorError, match="has no console"):
            await network.ask(MGMT, "console-login", role="viewer")


@on_loop
async def test_console_shows_the_certificate_of_the_server_and_speaks_tls_1_3_only(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as visitor:
        old = ssl.create_default_context(cafile=str(network.organisation.root))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(aiohttp.ClientConnectionError):
            await visitor.get("/", ssl=old)
        strange = ssl.create_default_context()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await visitor.get("/", ssl=strange)
        assert (await visitor.get("/api/v1/status")).status == 200


@on_loop
async def test_address_that_cannot_be_used_keeps_the_server_from_starting(tmp_path: Path) -> None:
    organisation = build_managed(tmp_path / "o")
    organisation.document["console"] = {"listen": "192.0.2.1:443"}
    organisation.write()
    async with Managed(organisation, tmp_path / "s") as network:
        with pytest.raises(OperatorError, match=r"no console on 192\.0\.2\.1 port 443"):
            await network.start(MGMT)


@on_loop
async def test_operator_of_the_machine_gets_a_code_for_a_known_role_alone(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        reply = await network.ask(MGMT, "console-login", role="viewer")
        assert reply["url"].startswith(f"https://{MGMT}:")
        assert reply["code"] not in reply["url"]
        with pytest.raises(OperatorError, match="cannot be read"):
            await network.ask(MGMT, "console-login", role="emperor")


@on_loop
async def test_console_asks_for_certificates_when_a_version_says_so_and_all_sessions_can_be_ended(
    tmp_path: Path,
) -> None:
    async with management_with_console(tmp_path, client_certificates=True) as network, Visitor(network) as visitor:
        await visitor.log_in("viewer")
        assert await network.ask(MGMT, "console-logout") == {"ended": 1}
        assert (await visitor.get("/")).status == 303
        credentials = operator_credentials(network, "vera", tmp_path)
        async with Visitor(network, credentials=credentials) as vera:
            assert (await vera.get("/api/v1/status")).status == 200


@on_loop
async def test_browser_that_knows_the_public_ca_alone_is_shown_its_certificate(tmp_path: Path) -> None:
    """By the name; a program that knows our root gets our own certificate at another name of the server."""
    async with management_with_console(tmp_path) as network:
        folder, forge = network.organisation.folder, Forge(datetime.now(UTC))
        public = forge.organisation("a public CA")
        assert public.issuer is not None
        forge.server(public, dns=(MGMT,)).write(folder / "servers", f"{MGMT}.public")
        (folder / "public.pem").write_bytes(certificates_pem([public.issuer.certificate]))

        def present(document: dict[str, Any]) -> None:
            files = {"certificate": f"servers/{MGMT}.public.pem", "key": f"servers/{MGMT}.public.key"}
            for server in (server for pool in document["pools"] for server in pool["servers"]):
                if server["name"] == MGMT:
                    server["client_certificates"] = [files]

        host, port = network.nodes[MGMT].view.console or ("", 0)
        public_only = ssl.create_default_context(cafile=str(folder / "public.pem"))
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(host, port, ssl=public_only, server_hostname=MGMT)
        await network.publish(present)
        await until(lambda: len([*network.told[MGMT].events("console")]) == 2)
        _, writer = await asyncio.open_connection(host, port, ssl=public_only, server_hostname=MGMT)
        writer.close()
        ours = ssl.create_default_context(cafile=str(network.organisation.root))
        ours.check_hostname = False
        _, writer = await asyncio.open_connection(host, port, ssl=ours, server_hostname="other.example.test")
        writer.close()
