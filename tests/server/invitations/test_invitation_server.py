"""The port of the invitations: it follows the topology, and presents a certificate that browsers accept, or none."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from server.invitations.test_file_pages import send
from sipmesh.demo.forge import Forge
from sipmesh.demo.ports import HOST
from sipmesh.pki.keys.passphrase import VARIABLE
from sipmesh.pki.keys.protection import keys_below, protect
from sipmesh.server.admin.metrics.users import user_metrics
from sipmesh.server.admin.replies import FilesReply
from sipmesh.server.admin.status_report import files_of
from support.console import Visitor
from support.contacts import DavPhone
from support.invited import Invitee
from support.managed import MGMT
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.process import serving
from support.running import LOOK_AGAIN_S, on_loop, until

JOIN = "join.example.test"


@on_loop
async def test_console_is_not_at_the_port_of_the_invitations(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        base = (await invite(network)).partition("/i/")[0]
        for path in ("/login", "/api/v1/status", "/users", "/static/console.js"):
            assert (await stranger.get(f"{base}{path}")).status == 404
        async with Visitor(network, "vera-token") as viewer:
            assert (await viewer.ask("GET", "/i/" + "A" * 32)).status != 200


@on_loop
async def test_encrypted_key_is_opened_with_the_passphrase_and_not_asked_for_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        await network.stop(MGMT)
        secret = tmp_path / "passphrase"
        secret.write_text("a passphrase that is long enough\n")
        secret.chmod(0o600)
        monkeypatch.setenv(VARIABLE, str(secret))
        assert network.credentials(MGMT)[1] in protect(keys_below(network.folder(MGMT)))
        await network.start(MGMT)
        assert (await stranger.get(await invite(network))).status == 200
        async with Visitor(network, "vera-token") as viewer:
            assert (await viewer.get("/api/v1/status")).status == 200


@on_loop
async def test_files_are_counted_for_status_and_metrics(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        node, alice = network.nodes[MGMT], await DavPhone.set_up(network, person)
        assert files_of(node) == FilesReply(0, 0)
        assert (await send(alice)).status == 200
        assert (await alice.ask("POST", "/files", b"hello", Content_Type="text/plain")).status == 400
        shown = {one.name: one.value for family in user_metrics(node) for one in family.samples if "files" in one.name}
        assert shown == {"sipmesh_files": 0, "sipmesh_files_octets": 0, "sipmesh_files_refused_total": 1}
        await network.stop(MGMT)
        async with serving(network.organisation, MGMT) as server:
            while (await server.ask("status"))["files"] != {"kept": 1, "octets": 5}:
                await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_port_speaks_tls_1_2_with_forward_secrecy_and_aead_only(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network:
        port = int((await invite(network)).split("/")[2].partition(":")[2])
        for cipher, accepted in (("ECDHE-ECDSA-AES128-SHA", False), ("ECDHE-ECDSA-AES128-GCM-SHA256", True)):
            context = ssl.create_default_context(cafile=str(network.organisation.root))
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(cipher)
            try:
                _, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=MGMT)
            except (OSError, ssl.SSLError):
                assert not accepted
            else:
                assert accepted
                writer.close()


def public_certificate(folder: Path, **changes: Any) -> Path:
    """Write a certificate of another CA, with its key, for the pages; gives the root that browsers know."""
    forge = Forge(datetime.now(UTC))
    root = forge.root("Public CA")
    forge.server(root, JOIN, **changes).write(folder, "join")
    anchor = folder / f"public-{len(list(folder.iterdir()))}.pem"
    anchor.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    return anchor


async def is_served(anchor: Path, link: str) -> bool:
    """Tell whether a browser with this root opens the link."""
    async with Invitee(anchor) as browser:
        try:
            return (await browser.get(link)).status == 200
        except aiohttp.ClientError:
            return False


@on_loop
async def test_certificate_of_another_ca_is_presented_and_replaced_where_its_file_is(tmp_path: Path) -> None:
    """A renewed certificate is presented without a restart. A certificate that browsers would refuse is not used."""
    first = public_certificate(tmp_path)
    pages: dict[str, Any] = {"name": JOIN, "certificate": str(tmp_path / "join.pem"), "key": str(tmp_path / "join.key")}
    async with management_with_invitations(tmp_path, **pages) as network:
        link = await invite(network)
        assert link.startswith(f"https://{JOIN}:")
        assert await is_served(first, link)
        assert not await is_served(network.organisation.root, link)
        renewed = public_certificate(tmp_path)
        while not await is_served(renewed, link):
            await asyncio.sleep(0.05)
        public_certificate(tmp_path, ends=timedelta(days=-1))
        told = network.told[MGMT]
        await until(lambda: list(told.events("the pages of invitations do not listen")))
        assert await is_served(renewed, link)
