"""Emergency calls of screened users reach their trunk at once, in each state of the application; what looks like one does not."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.sip.message import Request
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.role import Role
from support.descriptions import SDES, SDP
from support.network import BEGAN, BOT, EXAMPLE, FE1, POOL, Network, copied, finished
from support.peer import Peer
from support.running import on_jumping_loop, on_loop
from support.tiers import wide_unless
from support.trunks import ALICE, BOB, GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, PlayedTrunk, join_trunks

BOTS = ("bot1.example.test", "bot2.example.test")
EMERGENCY = {"country": "49", "outside_line": "0", "emergency": ["112"]}
TYPED = [
    f"sip:112@{EXAMPLE}",
    "tel:112;phone-context=+49",
    f"sip:1-1-2@{EXAMPLE};user=phone",
    f"sip:%3112@{EXAMPLE}",
    f"sip:0112@{EXAMPLE}",
    "urn:service:sos",
    "URN:Service:SOS.Police",
]
STATES = ["refuses", "silent", "one is silent", "revoked", "away"]
"""What the two servers of the application do with the call before the emergency call."""


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """A front end, a gateway, and an application of two servers that screens the calls to all users. Carol has no number."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
        PoolPlan(BOT, Role.APPLICATION, BOTS, {"next_hop": POOL, "screens": [EXAMPLE]}),
    )
    folder = tmp_path_factory.mktemp("emergencies") / "built"
    example = finished(Organisation.build(folder, EXAMPLE, plans, issued_at=BEGAN), "alice", "bob", "carol", "sos")
    users = Users(example.load().users_url)
    for user, alias in (("alice", ALICE), ("bob", BOB), ("bob", "1120"), ("bob", "911"), ("bob", "112")):
        users.add_alias(f"{user}@{EXAMPLE}", alias)
    users.close()
    return example


@pytest.fixture(name="network")
def _network(model: Organisation, provider: PlayedTrunk, tmp_path: Path) -> Network:
    example = copied(model, tmp_path / "example")
    join_trunks(example, (provider, {"asserts": ["+"], "carries": ["+"], "main_number": ALICE, "emergency": True}))
    example.document["numbers"] = EMERGENCY
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


async def calls(caller: Peer, uri: str, *headers: tuple[str, str], to: str | None = None) -> Request:
    """Send an INVITE with a session description; gives it."""
    invite = caller.request("INVITE", uri, [("content-type", SDP), *headers], SDES, to=to)
    await caller.send(invite)
    return invite


async def linked(network: Network) -> list[Peer]:
    """The servers of the application, with their links up on both sides."""
    bots = [await network.peer(FE1, "bot", name) for name in BOTS]
    for bot in bots:
        await bot.silent()
    return bots


async def revoke(network: Network, bots: list[Peer]) -> None:
    """Revoke the certificates of the application at the front end, which closes its links."""
    example = network.organisations[0]
    issuer = example.ca.issuing.subject.public_bytes()
    shown = [x509.load_pem_x509_certificates(example.credentials(name)[0].read_bytes())[0] for name in BOTS]
    network.nodes[FE1].revocation.revoke([(issuer, certificate.serial_number) for certificate in shown])
    for bot in bots:
        await bot.hung_up()


async def brought_to(network: Network, state: str, if_away: str) -> list[Peer]:
    """Bring the application to *state* with a call of carol to bob; gives those of its servers that have links."""
    bots = await linked(network)
    carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE1)
    if state == "revoked":
        await revoke(network, bots)
    if state == "away":
        for bot in bots:
            await bot.__aexit__()
    await calls(carol, f"sip:bob@{EXAMPLE}")
    if state in {"revoked", "away"}:
        if if_away == "pass":
            await bob.request_in("INVITE")
        else:
            assert (await carol.final()).status == 503
        return []
    came = await bots[0].request_in("INVITE")
    if state == "refuses":
        await bots[0].reply(came, 603)
        assert (await carol.final()).status == 603
        await bots[0].request_in("ACK")
    return bots


def is_narrow(row: tuple[str, str, str, str]) -> bool:
    """Tell whether a row stays in `make test`: each state and policy with one caller, and each spelling once."""
    state, if_away, user, typed = row
    return user == "carol" and (typed == TYPED[0] or (state, if_away) == ("silent", "refuse"))


@pytest.mark.parametrize(
    ("state", "if_away", "user", "typed"),
    wide_unless(is_narrow, itertools.product(STATES, ["refuse", "pass"], ["alice", "carol"], TYPED)),
)
@on_jumping_loop
async def test_emergency_call_goes_to_its_trunk_at_once_and_not_to_the_application(
    network: Network, provider: PlayedTrunk, state: str, if_away: str, user: str, typed: str
) -> None:
    """Also with bob, who has the number as an alias, and while another call to him waits for the application."""
    network.set_application(if_away=if_away)
    async with network, provider:
        bots = await brought_to(network, state, if_away)
        caller, began = await network.phone(user, FE1), asyncio.get_running_loop().time()
        await calls(caller, typed)
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        assert asyncio.get_running_loop().time() - began < SILENT_S / 4
        assert (came.ruri.aor, came.has("route")) == (f"sip:112@{PROVIDER}", False)
        await trunk.reply(came, 200, [("content-type", SDP)], SDES)
        assert (await caller.final()).status == 200
        for bot in bots:
            await bot.silent()


@pytest.mark.parametrize("if_away", ["refuse", "pass"])
@pytest.mark.parametrize(
    ("uri", "header", "to"),
    [
        (f"sip:bob@{EXAMPLE}", ("priority", "emergency"), None),
        (f"sip:bob@{EXAMPLE}", ("resource-priority", "esnet.0"), None),
        (f"sip:bob@{EXAMPLE}", ("geolocation", "<https://lis.example.test/alice>"), None),
        (f"sip:bob@{EXAMPLE}", ("route", f"<sip:112@{FE1};transport=tls;lr>"), None),
        (f"sip:bob@{EXAMPLE}", ("subject", "112"), f"<sip:112@{EXAMPLE}>"),
        (f"sip:bob@{EXAMPLE}", ("subject", "112"), "<urn:service:sos>"),
        (f"sip:{BOB}@{EXAMPLE}", ("subject", "112"), None),
        (f"sip:1120@{EXAMPLE}", ("subject", "112"), None),
        (f"sip:911@{EXAMPLE}", ("subject", "112"), None),
        (f"sip:sos@{EXAMPLE}", ("subject", "112"), None),
    ],
)
@on_jumping_loop
async def test_call_that_looks_like_an_emergency_call_is_screened(
    network: Network, provider: PlayedTrunk, if_away: str, uri: str, header: tuple[str, str], to: str | None
) -> None:
    """What else says so than the number that the dial plan has: another field, or another number."""
    network.set_application(if_away=if_away)
    async with network, provider:
        bots, phones = await linked(network), [await network.phone(user, FE1) for user in ("bob", "sos")]
        alice = await network.phone("alice", FE1)
        await calls(alice, uri, header, to=to)
        await bots[0].reply(await bots[0].request_in("INVITE"), 603)
        assert (await alice.final()).status == 603
        for phone in phones:
            await phone.silent()
        assert provider.links.empty()


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:112@evil.test", 404),
        (f"sip:112@{PROVIDER}", 404),
        (f"sip:112@{FE1}", 404),
        ("urn:service:counseling", 404),
        ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", 416),
    ],
)
@on_jumping_loop
async def test_emergency_number_elsewhere_is_none(
    network: Network, provider: PlayedTrunk, uri: str, status: int
) -> None:
    """It reaches no trunk and no user. A URN is none either: a phone sends the number."""
    async with network, provider:
        bots, bob, alice = await linked(network), await network.phone("bob", FE1), await network.phone("alice", FE1)
        await calls(alice, uri)
        assert (await alice.final()).status == status
        for peer in (*bots, bob):
            await peer.silent()
        assert provider.links.empty()


@pytest.mark.parametrize("uri", [f"sip:112@{EXAMPLE}", f"sip:112@{GATEWAYS}", f"sip:1-1-2@{EXAMPLE};user=phone"])
@on_loop
async def test_emergency_number_leads_no_call_from_outside_past_the_application(
    network: Network, provider: PlayedTrunk, uri: str
) -> None:
    """Bob has it as an alias. A call of a trunk is no emergency call."""
    async with network, provider:
        bots, bob, trunk = await linked(network), await network.phone("bob", FE1), await provider.opens(network)
        await trunk.send(trunk.request("INVITE", uri, sender=f"<sip:{OUTSIDE}@{PROVIDER}>;tag=x"))
        came = await bots[0].request_in("INVITE")
        assert came.ruri.aor == f"sip:bob@{EXAMPLE}"
        await bob.silent()


@on_loop
async def test_emergency_number_of_another_site_leads_no_call_past_the_application(
    network: Network, provider: PlayedTrunk
) -> None:
    """Bob has it as an alias. Carol, who is at that site, gets the trunk."""
    paris = {"site": "paris", "users": [f"carol@{EXAMPLE}"], "country": "33", "emergency": ["911"]}
    network.organisations[0].document |= {"sites": ["paris"], "numbers": {**EMERGENCY, "sites": [paris]}}
    network.organisations[0].write()
    async with network, provider:
        bots, bob = await linked(network), await network.phone("bob", FE1)
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        await calls(alice, f"sip:911@{EXAMPLE}")
        assert (await bots[0].request_in("INVITE")).ruri.aor == f"sip:bob@{EXAMPLE}"
        await bob.silent()
        await calls(carol, f"sip:911@{EXAMPLE}")
        assert (await (await provider.links.get()).request_in("INVITE")).ruri.user == "911"
        for bot in bots:
            await bot.silent()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("if_away", ["refuse", "pass"])
@on_jumping_loop
async def test_call_back_of_the_emergency_centre_is_screened_as_each_call_of_a_trunk(
    network: Network, provider: PlayedTrunk, state: str, if_away: str
) -> None:
    """Nothing proves who calls (RFC 7090 section 5): what the trunk says of the call does not lead it past the application.

    It rings if the application lets it on, or is away and the topology says `pass`.
    """
    network.set_application(if_away=if_away)
    async with network, provider:
        bots, alice = await brought_to(network, state, if_away), await network.phone("alice", FE1)
        trunk = await provider.opens(network)
        said = [("priority", "psap-callback"), ("content-type", SDP)]
        back = trunk.request(
            "INVITE", f"sip:{ALICE}@{GATEWAYS}", said, SDES, sender=f"<sip:{OUTSIDE}@198.51.100.7>;tag=x"
        )
        await trunk.send(back)
        if bots:
            came = await bots[0].request_in("INVITE")
            assert came.ruri.aor == f"sip:alice@{EXAMPLE}"
            await alice.silent()
            routes = [("route", came.items("route")[1])]
            await bots[0].send(bots[0].request("INVITE", came.uri, routes, sender=f"<{came.from_.uri}>;tag=b2b"))
            await alice.request_in("INVITE")
        elif if_away == "pass":
            await alice.request_in("INVITE")
        else:
            assert (await trunk.final()).status in {500, 503}
            await alice.silent()
