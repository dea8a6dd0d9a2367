"""The network in which phones are tested: two front ends, an edge with remote users, and a partner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from interop.chromium import BUNDLES, Chromium
from interop.hosts_file import require_namespaces
from interop.matrix.device import LOOK_AGAIN_S, Device, NotOfferedError, Settings
from interop.matrix.makes import BaresipDevice, JsSipDevice, LinphoneDevice, PjsuaDevice, SipJsDevice
from interop.matrix.other_side import OtherSide
from interop.test_browsers import present
from sipmesh.demo.network import EDGE, EDGES, EXAMPLE, FE1, FE2, PARTNER, PARTNER_EDGE, PARTNER_FE, POOL, DemoNetwork
from sipmesh.demo.ports import HOST
from sipmesh.server.admin.replies import REGISTRATIONS, BindingReply
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users
from sipmesh.transport.tls.contexts import Identity
from sipmesh.trust.evidence import LinkKind
from support.network import let_remote_users_in
from support.web_peer import open_websocket, web_address
from transport.authority import Authority

MAKES: dict[str, type[Device]] = {
    one.make: one for one in (BaresipDevice, LinphoneDevice, PjsuaDevice, JsSipDevice, SipJsDevice)
}
NUMBER = "+4930555"
"""An alias of alice."""

MD5_ONLY = ("dora", "fritz")
"""Further users of both organisations, for any phone."""

WRONG_NAME = "wrong.example.test"
"""A name that DNS gives for the front end, and that is in none of its certificates."""


@dataclass
class Stage:
    """The running network; *browser* has the pages. A phone is set up by `phone`."""

    network: DemoNetwork
    browser: Chromium
    folder: Path
    started: int = 0

    def user(self, make: str) -> str:
        """The user of phones of this make. baresip is offered MD5 only, and the others SHA-256 too."""
        return f"user-{make}"

    def locked_out(self, make: str) -> str:
        """The user whose password the phone does not know; later logins of this user wait."""
        return f"locked-{make}"

    @staticmethod
    def is_page(make: str) -> bool:
        """Whether phones of this make are pages in a browser."""
        return MAKES[make].webrtc

    def phone(
        self, make: str, server: str = FE1, *, user: str = "", name: str = "", second: str = "", **wishes: object
    ) -> Device:
        """Set up a phone that connects to *server*, by *name* where it is another than the server's, and to *second*."""
        self.started += 1
        if second and make != BaresipDevice.make:
            raise NotOfferedError
        kind, example = MAKES[make], self.network.organisation_of(server)
        port = web_address(example, server)[1] if kind.webrtc else example.ports[server][LinkKind.CLIENT]
        known = ({FE1: EXAMPLE, FE2: POOL, PARTNER_FE: PARTNER} if kind.webrtc else {EDGE: EDGES}).get(server, server)
        user = user or self.user(make)
        given: dict[str, object] = {"password": f"{user}-secret", "anchor": example.root, **wishes}
        settings = Settings(
            folder=self.folder / f"{make[:2]}{self.started}",
            user=user,
            domain=example.domain,
            server=f"{name or known}:{port}",
            dns=self.network.dns.setting,
            second=f"{second}:{example.ports[second][LinkKind.CLIENT]}" if second else "",
            **given,  # type: ignore[arg-type]
        )
        return kind(settings, self.browser) if kind.webrtc else kind(settings)  # type: ignore[call-arg]

    @asynccontextmanager
    async def other(self, user: str = "alice", server: str = FE2, **headers: str) -> AsyncIterator[OtherSide]:
        """A peer that has registered *user* at *server*."""
        organisation = self.network.organisation_of(server)
        address = organisation.address(server, LinkKind.CLIENT)
        async with await OtherSide.open(address, f"{user}@{organisation.domain}") as peer:
            assert (await peer.register(list(headers.items()))).status == 200
            yield peer

    async def bindings(self, make: str, server: str = FE1, *, user: str = "") -> list[BindingReply]:
        """The bindings of the phone's user, or of another *user*, as `sipmesh registrations` shows them.

        An edge chooses one of the front ends.
        """
        asked = (FE1, FE2) if server == EDGE else (server,)
        found = [await self.network.result_of(REGISTRATIONS, name) for name in asked]
        rows = [row for reply in found for row in reply.bindings if row.user == f"{user or self.user(make)}@{EXAMPLE}"]
        return [row for row in rows if row.server in asked]

    async def until(self, true: Callable[[list[BindingReply]], bool], make: str, server: str = FE1) -> BindingReply:
        """Wait until the bindings of the phone's user are as they should be; gives the first."""
        while not true(found := await self.bindings(make, server)):
            await asyncio.sleep(LOOK_AGAIN_S)
        return found[0] if found else EMPTY

    async def registered(self, make: str, server: str = FE1) -> BindingReply:
        """Wait until the phone has registered."""
        return await self.until(bool, make, server)

    async def is_there(self, user: str) -> None:
        """Wait until *user* has registered at front end 1."""
        while not await self.bindings("", user=user):
            await asyncio.sleep(LOOK_AGAIN_S)

    async def gone(self, make: str) -> None:
        """Wait until the phone has no registration."""
        await self.until(lambda rows: not rows, make)

    async def kill(self, server: str) -> float:
        """Kill a server; gives the moment of its end, in seconds of the monotonic clock."""
        process = self.network.servers[server]
        process.kill()
        began = time.monotonic()
        await process.waited()
        return began


EMPTY = BindingReply("", "", None, None, "", "", None)


def on_stage(
    runner: asyncio.Runner,
    folder: Path,
    *,
    pages: bool,
    loopback: bool = True,
    prepare: Callable[[DemoNetwork], None] | None = None,
) -> Iterator[Stage]:
    """Give a fixture the network of `stage`, where the machine has what it needs."""
    require_namespaces()
    assert not pages or (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    network = stage(folder, pages=pages, loopback=loopback, prepare=prepare)
    yield runner.run(network.__aenter__())
    runner.run(network.__aexit__(None, None, None))


@asynccontextmanager
async def stage(
    folder: Path, *, pages: bool, loopback: bool = True, prepare: Callable[[DemoNetwork], None] | None = None
) -> AsyncIterator[Stage]:
    """Build the network, *prepare* it, and start it; a browser runs where *pages* are tested, whose media may use *loopback*."""
    network = await DemoNetwork.build(folder)
    if prepare is not None:
        prepare(network)
    example, names = network.example, (FE1, FE2, EDGE, EDGES, PARTNER_FE, WRONG_NAME)
    let_remote_users_in(example)
    for make in MAKES:
        offered = (Algorithm.MD5,) if make == "baresip" else (Algorithm.SHA_256, Algorithm.MD5)
        example.add_users(f"user-{make}", f"locked-{make}", algorithms=offered)
    example.add_users(*MD5_ONLY, algorithms=(Algorithm.MD5,))
    network.partner.add_users(*MD5_ONLY, algorithms=(Algorithm.MD5,))
    for organisation in (example, network.partner):
        organisation.document["presence"] = {"partners": "allow"}
    network.partner.write()
    add_number(network)
    network.dns.records.update({(name, "A"): [HOST] for name in names})
    present_certificates(network, folder)
    browser = Chromium(
        folder / "c", folder / "public" / "root.pem", (EXAMPLE, POOL, PARTNER, *names), loopback=loopback
    )
    origins = {"origins": [await browser.serve()]} if pages else {}
    open_websocket(example, **origins)
    open_websocket(network.partner, **origins)
    await network.start(FE1, FE2, EDGE, PARTNER_FE, PARTNER_EDGE)
    try:
        if pages:
            await browser.__aenter__()
        yield Stage(network, browser, folder)
    finally:
        if pages:
            await browser.__aexit__(None, None, None)
        await network.stop()


def add_number(network: DemoNetwork) -> None:
    """Give alice a number."""
    users = Users(network.example.load().users_url)
    users.add_alias(f"alice@{EXAMPLE}", NUMBER)
    users.close()


def present_certificates(network: DemoNetwork, folder: Path) -> None:
    """Give the servers certificates of a public CA for browsers, and of ours for phones with an address and with RSA only."""
    public = Authority.create(folder / "public", "Public CA")
    (folder / "public" / "root.pem").write_bytes(public.root.public_bytes(Encoding.PEM))
    example, now = network.example, datetime.now(UTC)
    for server, name in ((FE1, EXAMPLE), (EDGE, EDGE)):
        present(example, public.issue(name), server)
    present(network.partner, public.issue(PARTNER), PARTNER_FE)
    present(example, public.issue(POOL, names=[x509.IPAddress(ip_address(HOST))]), FE2)
    for server, rsa in ((FE1, False), (FE2, True)):
        issued = example.ca.issue_for_clients([server], now, rsa=rsa, addresses=() if rsa else (HOST,))
        files = folder / f"{server}-clients.pem", folder / f"{server}-clients.key"
        issued.write(*files)
        present(example, Identity.load(*files), server)
    example.write()
