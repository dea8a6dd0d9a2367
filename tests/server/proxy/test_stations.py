"""The ways through a server, as docs/architecture.md shows them: a message of each kind passes its stations in this order."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509

import sipmesh
from scenarios.test_relay_cost import relay
from sipmesh.cli.versions import built
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP
from support.network import BOT, FE1, FE2, Network
from support.running import on_loop, until
from support.walking import Walk, walked, walked_by

pytestmark = pytest.mark.skipif(built() == "compiled", reason="a compiled function is no event of a profile")

PAGE = Path(__file__).parents[3] / "docs" / "architecture.md"
WARM_UP = 3
MOST_STATIONS = 12
"""Of a MESSAGE through one server."""

numbers = count(1)

Station = tuple[str, str]


def stations(way: str) -> list[Station]:
    """The stations of a way, as the page has them."""
    table = re.split(r"<!-- (?:way: |end of ways)", PAGE.read_text())
    [rows] = [part for part in table if part.startswith(f"{way} -->")]
    return re.findall(r"^\| `([a-z_/]+\.py)` \| `([A-Za-z_.]+)` ", rows, re.MULTILINE)


def missed(walk: Walk, way: str) -> list[Station]:
    """The stations that were not passed in their order."""
    passed = iter(walk.stations)
    return [station for station in stations(way) if station not in passed]


@pytest.mark.parametrize("way", ["message", "register", "invite", "revocation", "version"])
def test_each_station_is_a_function_of_its_file(way: str) -> None:
    home = Path(sipmesh.__file__).parent
    assert stations(way)
    for file, function in stations(way):
        assert f"def {function.rpartition('.')[2]}(" in (home / file).read_text()


@on_loop
async def test_message_passes_its_stations(home: Network) -> None:
    async with home:
        alice, bot = await home.phone("alice", FE1), await home.peer(FE1, "bot", credentials=BOT)
        for _ in range(WARM_UP):
            await relay(alice, bot, 0, 100)
        with walked_by(home.nodes[FE1]) as walk:
            await relay(alice, bot, 0, 100)
        assert missed(walk, "message") == []
        assert len(stations("message")) <= MOST_STATIONS
        assert repr(walk).startswith("<Walk of ")
        assert 0 < walk.returns < len(walk.rooms)
        assert walk.functions >= len(walk.files)


@on_loop
async def test_register_passes_its_stations(home: Network) -> None:
    async with home:
        with walked() as walk:
            await home.phone("alice", FE1)
        assert missed(walk, "register") == []


@on_loop
async def test_invite_to_two_phones_and_its_cancel_pass_their_stations(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await pool.phone("bob", FE1), await pool.phone("bob", FE1)
        invite = alice.request("INVITE", f"sip:{desk.user}", [("content-type", SDP)], SDES)
        with walked_by(pool.nodes[FE1]) as walk:
            await alice.send(invite)
            rings = [(phone, await phone.request_in("INVITE")) for phone in (desk, mobile)]
            for phone, came in rings:
                await phone.reply(came, 180)
                await alice.receive()
            await alice.send(cancel_for(invite))
            for phone, came in rings:
                await phone.reply(await phone.request_in("CANCEL"), 200)
                await phone.reply(came, 487)
            assert {(await alice.final()).status for _ in range(2)} == {200, 487}
        assert missed(walk, "invite") == []


@on_loop
async def test_revocation_passes_its_stations_until_the_link_closes(pool: Network) -> None:
    async with pool:
        node = pool.nodes[FE1]
        link = node.pool.obtain(Hop(FE2, LinkKind.SERVER, (pool.address(FE2, LinkKind.SERVER),)))
        await until(lambda: link.verdict is not None)
        leaf = x509.load_pem_x509_certificates(pool.credentials(FE2)[0].read_bytes())[0]
        with walked() as walk:
            assert node.revocation.revoke([(leaf.issuer.public_bytes(), leaf.serial_number)]) == [link.id]
            await until(lambda: link not in node.pool.all())
        assert missed(walk, "revocation") == []


@on_loop
async def test_version_passes_its_stations(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        with walked() as walk:
            node.put_in_force(node.view.loaded)
        assert missed(walk, "version") == []
