"""Each rule of calls with a phone of each make, for callers of each kind: who is shown to whom.

The phones of bob, carol and the callers are of the same make. The trunk is played, and so is who calls in the name of another.
With SIPMESH_WRITE_PAGES, what was seen is written into the page.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from interop.chromium import Chromium
from interop.hosts_file import require_namespaces
from interop.matrix.device import Device, Settings
from interop.matrix.makes import BaresipDevice, LinphoneDevice, PjsuaDevice
from interop.matrix.other_side import OtherSide
from interop.phone_page import PhonePage
from interop.seats import PageSeat, PeerSeat, ProgramSeat, Seat
from interop.tables import WRITES, Table
from scenarios.test_flows import ticking
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.server.web_phone.files import BUNDLE
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.call_rules import group, refreshed, rules
from support.network import (
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE3,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    POOL,
    POOL2,
    Network,
    build_partner,
    federate,
    finished,
)
from support.running import within
from support.trunks import BOB, GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, PlayedTrunk, build_trunk, join_trunks
from support.web_peer import open_websocket, web_address

TABLE = Table("rules of calls")
PROGRAMS: dict[str, type[Device]] = {one.make: one for one in (BaresipDevice, LinphoneDevice, PjsuaDevice)}
WEB = "web phone"
LOOK_AGAIN_S = 0.25
PATIENCE_S = 170.0
CELL_S = 20.0
MAKES = (*PROGRAMS, WEB)
IN_EACH_RUN = ("baresip", "pjsua2")
"""The makes that play it in `make test-wide` too."""
NUMBERS = {"bob": BOB, "carol": "+493012347", "dave": "+493012348", "sales": "+493012349"}
SERVERS = {"alice": FE1, "bob": FE1, "carol": FE1, "dora": FE3, "erin": PARTNER_FE}
DOMAINS = {user: PARTNER if user == "erin" else EXAMPLE for user in SERVERS}
DELEGATED = "for a delegate's user"
CALLERS = ("the own pool", "another pool", "a partner", "a trunk")
WHO = dict(zip(CALLERS, ("alice", "dora", "erin"), strict=False))
RULES: dict[str, dict[str, Any]] = {
    "always": {"always": "carol"},
    "busy": {"busy": "carol"},
    "no answer": {"no_answer": "carol", "ring_s": 5},
    "away": {},  # dave has it from the start, and no phone
    "rings beside": {"also": ["carol"]},
    "do not disturb": {"do_not_disturb": True},
    "blocked caller": {"callers": {"*": "block"}},
    DELEGATED: {},  # carol is called, in the name of alice
    "group": {},
}
NONE: dict[str, Any] = {
    "always": "none", "busy": "none", "no_answer": "none", "ring_s": 0, "also": ["none"], "do_not_disturb": False,
    "callers": {"*": "none"},
}  # fmt: skip
REFUSED = ("do not disturb", "blocked caller")


def build(folder: Path) -> Organisation:
    """example.test: two pools with one server each, an edge and a gateway. Alice, bob and carol are in the first, dora is not."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3,)),
        PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
        PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
    )
    made = finished(Organisation.build(folder, EXAMPLE, plans))
    made.add_users("alice", "bob", "carol", "dave", pool=POOL, algorithms=(Algorithm.MD5,))
    made.add_users("dora", pool=POOL2, algorithms=(Algorithm.MD5,))
    users = Users(made.load().users_url)
    for user in ("bob", "carol", "dave"):
        users.add_alias(f"{user}@{EXAMPLE}", NUMBERS[user])
    users.close()
    return made


@dataclass
class Place:
    """The network; *folder* is where phones live."""

    network: Network
    trunk: PlayedTrunk
    folder: Path

    def of(self, user: str) -> Organisation:
        return self.network.organisations[DOMAINS[user] == PARTNER]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Place]:
    """Both organisations and the trunk."""
    example, partner, trunk = build(folder / "e"), build_partner(folder / "p"), build_trunk(folder / "t", PROVIDER)
    federate(example, partner)
    theirs = Users(partner.load().users_url)
    theirs.set_password(f"erin@{PARTNER}", "erin-secret", (Algorithm.MD5,))
    theirs.close()
    entries: Any = example.document["federation"]
    provider = PlayedTrunk(PROVIDER, trunk)
    join_trunks(example, (provider, {"asserts": ["+"], "carries": ["+"]}))
    joined: Any = example.document["federation"]
    example.document["federation"] = {**entries, **joined, "partners": [*entries["partners"], *joined["partners"]]}
    for organisation in (example, partner):
        open_websocket(organisation, phone=True)
    network = Network((example, partner), starts=(FE1, FE3, EDGE, GATEWAY, PARTNER_FE, PARTNER_EDGE))
    names = (EDGES, PARTNER_EDGES, FE1, FE3, PARTNER_FE, EXAMPLE, PARTNER)
    network.dns.records.update({(name, "A"): [HOST] for name in names})
    async with network, provider, ticking(network):
        yield Place(network, provider, folder)


@dataclass
class Play:
    """The phones of one make by the names of their users, and those who call with what no phone of a make can say."""

    place: Place
    seats: dict[str, Seat]
    peers: dict[str, PeerSeat]

    async def cell(self, rule: str, who: str) -> str:
        """Play one cell; gives what carol is shown and what the caller is shown, or the answer that the caller gets."""
        await rules(self.place.network, "bob", **NONE | RULES[rule])
        user = {"away": "dave", "group": "sales", DELEGATED: "carol"}.get(rule, "bob")
        bob, carol, peer = self.seats["bob"], self.seats["carol"], self.peers[who]
        caller = peer if who == "a trunk" or rule == DELEGATED else self.seats[WHO[who]]
        for seat in (bob, carol, caller):
            await seat.begins()
        if caller is peer:
            headers = (("p-preferred-identity", f"<sip:bob@{EXAMPLE}>"),) if rule == DELEGATED else ()
            await peer.calls(f"{NUMBERS[user]}@{GATEWAYS}" if who == "a trunk" else f"{user}@{EXAMPLE}", *headers)
        else:
            await caller.calls(f"{user}@{EXAMPLE}")
        if rule in REFUSED:
            return await caller.sees()
        if rule in {"busy", "no answer"}:
            await bob.rings()
        if rule == "busy":
            await bob.declines()
        shown = await carol.rings()
        await carol.answers()
        seen = f"{shown} / {await caller.sees()}"
        await caller.hangs_up()
        return seen


@asynccontextmanager
async def seated(place: Place, make: str) -> AsyncIterator[Play]:
    """Have all phones of one make, and all callers, registered."""
    async with AsyncExitStack() as stack:
        seats: dict[str, Seat] = {}
        if make == WEB:
            browsers = [
                await stack.enter_async_context(Chromium(place.folder / name, made.root, hosts, loopback=False))
                for name, made, hosts in (("c", place.of("alice"), (FE1, FE3)), ("d", place.of("erin"), (PARTNER_FE,)))
            ]
            for user in SERVERS:
                seats[user] = await page(place, browsers[DOMAINS[user] == PARTNER], user)
        else:
            for user in SERVERS:
                device = PROGRAMS[make](settings(place, user))
                await stack.enter_async_context(device)
                seats[user] = ProgramSeat(device)
        for user in SERVERS:
            await until_registered(place, user)
        network, web = place.network, make == WEB
        peers = [
            await stack.enter_async_context(
                await OtherSide.open(network.address(SERVERS[user]), f"{user}@{DOMAINS[user]}")
            )
            for user in WHO.values()
        ]
        for peer in peers:
            assert (await peer.register()).status == 200
        address, shown = network.address(GATEWAY, LinkKind.PARTNER), place.trunk.organisation.credentials(PROVIDER)
        trunk = await stack.enter_async_context(await OtherSide.open(address, f"{OUTSIDE}@{PROVIDER}", shown))
        yield Play(
            place, seats, {who: PeerSeat(peer, webrtc=web) for who, peer in zip(CALLERS, (*peers, trunk), strict=True)}
        )


def settings(place: Place, user: str) -> Settings:
    """How the phone of a user is set up; carol takes each call."""
    server, made = SERVERS[user], place.of(user)
    port = made.ports[server][LinkKind.CLIENT]
    return Settings(
        place.folder / user, user, DOMAINS[user], f"{server}:{port}", made.root, place.network.dns.setting,
        f"{user}-secret", answers=user == "carol",
    )  # fmt: skip


async def page(place: Place, browser: Chromium, user: str) -> PageSeat:
    """A page with the web phone of a user."""
    server = SERVERS[user]
    opened = await PhonePage.open(browser, f"https://{server}:{web_address(place.of(user), server)[1]}/phone")
    await opened.log_in(f"{user}@{DOMAINS[user]}", f"{user}-secret")
    await opened.shows("phone", user)
    return PageSeat(opened)


async def until_registered(place: Place, user: str) -> None:
    """Wait until the phone of a user has registered."""
    node = place.network.nodes[SERVERS[user]]
    while not node.registrations.bindings(f"sip:{user}@{DOMAINS[user]}", node.loop.time()):
        await asyncio.sleep(LOOK_AGAIN_S)


async def played(folder: Path, make: str) -> dict[str, str]:
    """Play all cells of one make; gives them by the name of their row."""
    async with running(folder) as place, seated(place, make) as play:
        await rules(place.network, "bob", delegates=["alice", "dora"])
        await rules(place.network, "dave", away="carol")
        await group(place.network, "sales", "bob", "carol", pool=POOL)
        users = Users(place.of("alice").load().users_url)
        users.add_alias(f"sales@{EXAMPLE}", NUMBERS["sales"])
        users.close()
        await refreshed(place.network)
        return {f"{rule}: {who}": await bounded(play, rule, who) for rule in RULES for who in CALLERS}


async def bounded(play: Play, rule: str, who: str) -> str:
    """Play one cell; a cell that does not end is named."""
    try:
        async with asyncio.timeout(CELL_S):
            return await play.cell(rule, who)
    except TimeoutError:
        raise AssertionError(f"{rule}: {who} did not end within {CELL_S:g} s") from None


def _column(make: str) -> object:
    peers = ("chromium", "certutil", "npm") if make == WEB else (make,)
    marks = [pytest.mark.peer(*peers), pytest.mark.wide if make in IN_EACH_RUN else pytest.mark.soak]
    return pytest.param(make, marks=marks, id=make.replace(" ", "-"))


@pytest.mark.parametrize("make", [_column(make) for make in MAKES])
def test_each_rule_shows_who_calls_and_who_answers(make: str, tmp_path: Path) -> None:
    """All rows of one make."""
    require_namespaces()
    assert make != WEB or (BUNDLE / "phone.js").exists(), "the web phone is not built: make browsers"
    seen: dict[str, str] = {}

    @within(PATIENCE_S)
    async def play() -> None:
        seen.update(await played(tmp_path, make))

    play()
    if WRITES in os.environ:
        for row, cell in seen.items():
            cells = TABLE.rows().get(row, ["?"] * len(MAKES))
            TABLE.write(row, *(cell if one == make else before for one, before in zip(MAKES, cells, strict=True)))
    column = MAKES.index(make)
    assert seen == {row: cells[column] for row, cells in TABLE.rows().items()}
