"""What is in the log of a proxy, and what a stranger who tries MAC addresses finds."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from server.invitations.test_pages import DESK, MAC, refused
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.invitations import strangers
from support.invited import Answer, Invitee
from support.managed import MGMT, Managed
from support.management_with_invitations import devices, invite, invitee, management_with_invitations
from support.running import on_loop
from support.tiers import wide_after

MACS = [f"00156500{number:04x}" for number in range(30)]


@dataclass
class Proxy:
    """It ends TLS with a certificate that devices accept, and logs each request, as an inspecting proxy of a company does."""

    network: Managed
    port: int
    log: list[tuple[str, str]] = field(default_factory=list)

    def through(self, url: str) -> str:
        """The same URL at this proxy."""
        return url.replace(f":{urlsplit(url).port}/", f":{self.port}/")

    async def serve(self, request: web.Request) -> web.Response:
        self.log.append((request.method, request.path_qs))
        port = self.network.organisation.load().topology.invitations
        assert port is not None
        here = port.listen.rpartition(":")[2]
        context = ssl.create_default_context(cafile=str(self.network.organisation.root))
        headers = {"Host": f"{MGMT}:{here}", "Content-Type": request.headers.get("Content-Type", "")}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"https://{HOST}:{here}{request.path_qs}",
                data=await request.read(),
                headers=headers,
                ssl=context,
                server_hostname=MGMT,
            ) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read())


@asynccontextmanager
async def proxied(network: Managed, folder: Path) -> AsyncIterator[Proxy]:
    ca = network.organisation.folder / "ca"
    root = Forged.read(ca / "root.pem", ca / "root.key")
    issuing = Forged.read(ca / "issuing.pem", ca / "issuing.key", root)
    chain, key = Forge(datetime.now(UTC)).server(issuing, MGMT).write(folder, "proxy")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    proxy = Proxy(network, free_port())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, HOST, proxy.port, ssl_context=context).start()
    try:
        yield proxy
    finally:
        await runner.cleanup()


async def takes(kind: str, device: Invitee, proxy: Proxy, link: str) -> Answer:
    """A device takes its invitation through the proxy, with all requests of its kind."""
    if kind in ("json", "baresip"):
        return await device.take(proxy.through(link), kind)
    if kind == "linphone":
        page = await device.take(proxy.through(link), kind)
        [url] = re.findall('<code id="url">([^<]+)</code>', page.text)
        return await device.get(proxy.through(url))
    answer = await device.get(proxy.through(link[: link.rindex("/") + 1] + DESK.get(kind, "001565aabbcc.cfg")))
    if kind == "polycom":
        [second] = re.findall('CONFIG_FILES="([^"]+)"', answer.text)
        answer = await device.get(proxy.through(second))
    return answer


@pytest.mark.parametrize("kind", wide_after(3, ["json", "linphone", "polycom", "baresip", *DESK]))
@on_loop
async def test_each_url_in_the_log_of_a_proxy_is_worth_nothing_after_the_device_has_its_account(
    tmp_path: Path, kind: str
) -> None:
    """The thief asks from the same address, with each method and each choice. The device through the proxy is the control."""
    async with (
        management_with_invitations(tmp_path) as network,
        proxied(network, tmp_path) as proxy,
        invitee(network) as device,
        invitee(network) as thief,
    ):
        more = {} if kind in ("json", "linphone", "baresip") else {"client": kind, "mac": MAC}
        link = await invite(network, **more)
        answer = await takes(kind, device, proxy, link)
        assert (answer.status, "alice" in answer.text) == (200, True)
        assert await devices(network) == [kind]
        base = f"https://{urlsplit(link).netloc}"
        assert proxy.log
        for _, path in list(proxy.log):
            for got in (await thief.get(base + path), await thief.take(base + path, "json")):
                assert got.status in (404, 405), got
                assert "alice" not in got.text
        assert await devices(network) == [kind]


@on_loop
async def test_invitation_for_a_network_is_worth_nothing_to_who_reads_the_log_of_its_proxy_first(
    tmp_path: Path,
) -> None:
    """The thief is faster than the device, and outside of its network."""
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network, "127.0.0.2") as thief,
        invitee(network) as device,
    ):
        link = await invite(network, network=f"{HOST}/32")
        for got in (await thief.get(link), await thief.take(link, "json")):
            assert refused(got), got
        assert (await device.take(link, "json")).status == 200


@pytest.mark.parametrize("knows", ["the link", "nothing"])
@on_loop
async def test_who_tries_mac_addresses_is_refused_after_some_and_the_phone_gets_its_file(
    tmp_path: Path, knows: str
) -> None:
    """Who knows the link tries the MAC addresses of a vendor; who knows nothing has no secret either."""
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network, "127.0.0.2") as stranger,
        invitee(network) as phone,
    ):
        link = await invite(network, client="yealink", mac=MAC)
        right = link[: link.rindex("/") + 1]
        base = right if knows == "the link" else f"{right.partition('/d/')[0]}/d/{'B' * 32}/"
        seen = [(await stranger.get(f"{base}{mac}.cfg")).status for mac in MACS]
        most = strangers.FAILURES_A_MINUTE
        assert seen == [404] * most + [429] * (len(MACS) - most)
        assert await devices(network) == []
        answer = await phone.get(f"{right}{DESK['yealink']}")
        assert (answer.status, "alice+yealink" in answer.text) == (200, True)
