"""Calls to `urn:service:sos`, and what looks like one: escapes, other services, other methods, other fields, other senders."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.sip.message import Request
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.descriptions import SDES, SDP
from support.network import BEGAN, BOT, EDGE, EXAMPLE, FE1, FE2, PARTNER_EDGE, POOL, Network, finished
from support.peer import Peer
from support.running import on_loop
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, PlayedTrunk, join_trunks

SOS = "urn:service:sos"
NUMBERS = {
    "country": "49",
    "emergency": ["112", "110"],
    "emergency_services": [{"service": "sos.police", "number": "110"}],
    "per_user": {"calls": 1},
    "classes": [{"name": "all", "numbers": ["+"], "users": []}],
}


@pytest.fixture(name="network")
def _network(provider: PlayedTrunk, tmp_path: Path) -> Network:
    """A front end, a gateway with a trunk for emergency calls, and an application with an address of its own."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "sip_addresses": [f"bot@{EXAMPLE}"]}),
    )
    example = finished(Organisation.build(tmp_path / "example", EXAMPLE, plans, issued_at=BEGAN), "alice", "bob")
    users = Users(example.load().users_url)
    users.add_alias(f"alice@{EXAMPLE}", ALICE)
    users.close()
    join_trunks(example, (provider, {"asserts": ["+49170"], "carries": ["+"], "main_number": ALICE, "emergency": True}))
    example.document["numbers"] = NUMBERS
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


def invite(caller: Peer, uri: str, to: str | None = None, sender: str | None = None) -> Request:
    return caller.request("INVITE", uri, [("content-type", SDP)], SDES, to=to, sender=sender)


async def answered(caller: Peer, provider: PlayedTrunk, sent: Request) -> Request:
    """The INVITE that the trunk gets for what a caller has *sent*; the trunk answers, and the call stays up."""
    await caller.send(sent)
    trunk = await provider.links.get()
    came = await trunk.request_in("INVITE")
    await trunk.reply(came, 200, [("content-type", SDP)], SDES)
    assert (await caller.final()).status == 200
    provider.links.put_nowait(trunk)
    return came


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        (SOS, "112"),
        ("URN:SERVICE:SOS", "112"),
        ("urn:service:sos.police", "110"),
        ("urn:service:sos.fire", "112"),
        ("urn:service:sos.no-such-service", "112"),
    ],
)
@on_loop
async def test_phone_that_calls_the_service_reaches_the_trunk(
    network: Network, provider: PlayedTrunk, uri: str, number: str
) -> None:
    """Also beside a call with which the caller has as many as allowed, and with no class of numbers that the caller may call."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        for _ in range(2):
            came = await answered(alice, provider, invite(alice, uri, f"<{uri}>"))
            assert came.ruri.aor == f"sip:{number}@{PROVIDER}"
            assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]
        await alice.send(invite(alice, f"sip:{OUTSIDE}@{EXAMPLE}"))
        assert (await alice.final()).status == 403


@pytest.mark.parametrize(
    ("method", "uri", "status"),
    [
        ("INVITE", "urn:service:so%73", 400),
        ("INVITE", "urn:service:sos;user=phone", 400),
        ("INVITE", "urn:service:sos@example.test", 400),
        ("INVITE", f"urn:service:sos.{'a' * 1_000}", 400),
        ("INVITE", f"urn:service:sos.{'a' * 10_000}", 414),
        ("INVITE", "urn:service:", 400),
        ("INVITE", "urn:service:counseling", 404),
        ("INVITE", "urn:nena:service:sos", 416),
        ("MESSAGE", SOS, 405),
        ("SUBSCRIBE", SOS, 405),
        ("OPTIONS", SOS, 405),
        ("REGISTER", SOS, 404),
        ("INVITE", f"sip:sos@{EXAMPLE}", 404),
    ],
)
@on_loop
async def test_what_only_looks_like_it_is_refused(
    network: Network, provider: PlayedTrunk, method: str, uri: str, status: int
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        to = f"<sip:alice@{EXAMPLE}>" if method == "REGISTER" else "<urn:service:sos>"
        assert (await alice.ask(alice.request(method, uri, [("event", "dialog")], to=to))).status == status
        assert provider.links.empty()
        assert (await answered(alice, provider, invite(alice, SOS))).ruri.user == "112"


@on_loop
async def test_to_alone_makes_no_emergency_call(network: Network, provider: PlayedTrunk) -> None:
    """The Request-URI says who is called: neither a number that no user may call nor a user is called by To."""
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await alice.send(invite(alice, f"sip:{OUTSIDE}@{EXAMPLE}", "<urn:service:sos>"))
        assert (await alice.final()).status == 403
        await alice.send(invite(alice, f"sip:bob@{EXAMPLE}", "<urn:service:sos>"))
        assert (await bob.request_in("INVITE")).ruri.user == "bob"
        assert provider.links.empty()
        assert (await answered(alice, provider, invite(alice, SOS, f"<sip:bob@{EXAMPLE}>"))).ruri.user == "112"


@on_loop
async def test_phone_without_a_login_calls_no_service(network: Network, provider: PlayedTrunk) -> None:
    """As with the digits."""
    async with network, provider:
        stranger = await network.peer_at(FE1, LinkKind.CLIENT)
        for uri in (SOS, f"sip:112@{EXAMPLE}"):
            refused = await stranger.ask(invite(stranger, uri, sender=f"<sip:alice@{EXAMPLE}>;tag=x"))
            assert refused.status in {401, 403, 407}
        assert provider.links.empty()


@on_loop
async def test_application_calls_the_service_as_it_calls_the_number(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        bot = await network.peer(FE1, "bot", BOT)
        for uri in (f"sip:112@{EXAMPLE}", SOS):
            came = await answered(bot, provider, invite(bot, uri, sender=f"<sip:bot@{EXAMPLE}>;tag=x"))
            assert came.ruri.user == "112"


@on_loop
async def test_trunk_calls_no_service(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        trunk = await provider.opens(network)
        for uri in (SOS, f"sip:112@{GATEWAYS}"):
            await trunk.send(invite(trunk, uri, sender=f"<sip:{OUTSIDE}@{PROVIDER}>;tag=x"))
            assert (await trunk.final()).status == 404


@on_loop
async def test_partner_calls_no_service(federation: Network) -> None:
    """Its edge may call our users."""
    federation.starts = (FE1, FE2, EDGE)
    async with federation:
        bob = await federation.phone("bob", FE1)
        partner = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        refused = await partner.ask(partner.request("INVITE", SOS, sender="<sip:erin@partner.test>;tag=x"))
        assert refused.status == 403
        await partner.send(partner.request("INVITE", f"sip:bob@{EXAMPLE}", sender="<sip:erin@partner.test>;tag=x"))
        assert (await bob.request_in("INVITE")).method == "INVITE"
