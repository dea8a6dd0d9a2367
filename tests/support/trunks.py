"""Telephone trunks, played by peers of the standard library: each has a CA of its own, a listener, and a certificate."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST, free_port
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.network import BEGAN, EXAMPLE, FE1, POOL, Network, copied, finished
from support.peer import Peer

GATEWAYS, GATEWAY = "gw.example.test", "gw1.example.test"
PROVIDER, PBX = "sbc.provider.test", "pbx.branch.test"
ALICE, BOB = "+493012345", "+493012346"
OUTSIDE = "+491705550100"
OF_PBX = "+4989123456"


def build_gateway(folder: Path) -> Organisation:
    """example.test: a front end and a gateway."""
    organisation = Organisation.build(
        folder,
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1,)),
            PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
        ),
        issued_at=BEGAN,
    )
    finished(organisation, "alice", "bob", "carol")
    users = Users(organisation.load().users_url)
    for user, number in (("alice", ALICE), ("bob", BOB)):
        users.add_alias(f"{user}@{EXAMPLE}", number)
    users.close()
    return organisation


def build_trunk(folder: Path, name: str) -> Organisation:
    """The CA and the certificate of the trunk *name*."""
    plans = (
        PoolPlan(f"inside.{name}", Role.FRONT_END, (f"fe.{name}",)),
        PoolPlan(name, Role.EDGE, (name,), {"next_hop": f"inside.{name}"}),
    )
    organisation = Organisation.build(folder, f"users.{name}", plans, issued_at=BEGAN)
    organisation.write()
    organisation.issue(name)
    return organisation


@dataclass
class PlayedTrunk:
    """A trunk with a port of its own. *links* are those that the gateway has opened to it."""

    name: str
    organisation: Organisation
    port: int = field(default_factory=free_port)
    links: asyncio.Queue[Peer] = field(default_factory=asyncio.Queue)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.organisation.credentials(self.name))
        server = await asyncio.start_server(self._connected, HOST, self.port, ssl=context)
        self._stack.callback(server.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, f"{OUTSIDE}@{self.name}")
        await self._stack.enter_async_context(peer)
        self.links.put_nowait(peer)

    async def opens(self, network: Network, gateway: str = GATEWAY) -> Peer:
        """A link that this trunk opens to the gateway."""
        address = network.address(gateway, LinkKind.PARTNER)
        shown = self.organisation.credentials(self.name)
        return await self._stack.enter_async_context(await Peer.open(address, f"{OUTSIDE}@{self.name}", shown))


def join_trunks(example: Organisation, *trunks: tuple[PlayedTrunk, dict[str, Any]]) -> None:
    """Write the entry of each trunk; the keys beside it are those of its `trunk`."""
    entries: list[dict[str, object]] = [
        {
            "domains": [trunk.name],
            "edge": f"{trunk.name}:{trunk.port}",
            "address": HOST,
            "anchors": [str(trunk.organisation.root)],
            "crls": trunk.organisation.lists,
            "trunk": {"gateway": GATEWAYS, **keys},
        }
        for trunk, keys in trunks
    ]
    example.document["federation"] = {"partners": entries, "networks": ["127.0.0.0/8"]}
    example.write()


def build_models(folder: Path) -> dict[str, Organisation]:
    """example.test with its gateway, and the two trunks: built once, copied for each test."""
    return {
        EXAMPLE: build_gateway(folder / "example"),
        PROVIDER: build_trunk(folder / "provider", PROVIDER),
        PBX: build_trunk(folder / "pbx", PBX),
    }


def premium_for(user: str) -> dict[str, Any]:
    """Numbers of which all users may call those of the country, and *user* alone those at a premium."""
    home = {"name": "home", "numbers": ["+49"], "everyone": True}
    premium = {"name": "premium", "numbers": ["+49900"], "users": [f"{user}@{EXAMPLE}"]}
    return {"country": "49", "classes": [home, premium]}


def with_trunks(model: Organisation, provider: PlayedTrunk, pbx: PlayedTrunk, folder: Path) -> Organisation:
    """A copy of *model* with a provider that asserts and carries all numbers, and a PBX with the numbers from +4989 on."""
    example = copied(model, folder)
    join_trunks(
        example,
        (provider, {"asserts": ["+"], "carries": ["+"]}),
        (pbx, {"asserts": ["+4989"], "carries": ["+4989"], "main_number": OF_PBX}),
    )
    return example
