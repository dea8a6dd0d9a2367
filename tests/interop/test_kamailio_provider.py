"""A gateway that logs in at Kamailio by digest: registration, calls in both directions, and what happens inside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.kamailio_provider import Files, Provider
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from support.descriptions import SDES, SDP
from support.digest_provider import DigestAccount
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop, until
from support.talking import inside_of
from support.trunks import ALICE, GATEWAY, OUTSIDE, PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks

pytestmark = pytest.mark.peer("kamailio")

OFFER = [("content-type", SDP)]


@pytest.fixture(name="models", scope="module")
def _models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Organisation, Organisation]:
    folder = tmp_path_factory.mktemp("k")
    return build_gateway(folder / "example"), build_trunk(folder / "provider", PROVIDER)


@asynccontextmanager
async def running(
    models: tuple[Organisation, Organisation], folder: Path, account: DigestAccount, password: str
) -> AsyncIterator[tuple[Network, Provider, Peer]]:
    """The network, Kamailio with *account*, and a phone of the telephone world that has the number `OUTSIDE`."""
    example, of_provider = models
    trunk = PlayedTrunk(PROVIDER, of_provider, port=free_port())
    login = {"user": account.user, "realm": account.realm, "secret_file": "secrets/p", "algorithm": account.algorithm}
    join_trunks(example, (trunk, {"asserts": ["+"], "carries": ["+"], "login": login, "ping": 5}))
    secret = example.folder / "secrets" / "p"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text(password)
    secret.chmod(0o600)
    provider = Provider(folder / "k", PROVIDER, Files(*of_provider.credentials(PROVIDER)), account, trunk.port)
    async with provider, Network((example,), starts=(FE1, GATEWAY)) as network:
        network.nodes[GATEWAY].sweep.tick()
        async with await Peer.open((HOST, provider.world), f"{OUTSIDE}@{PROVIDER}") as world:
            assert (
                await world.ask(world.request("REGISTER", f"sip:{PROVIDER}", to=f"<sip:{OUTSIDE}@{PROVIDER}>"))
            ).status == 200
            yield network, provider, world


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@on_loop
async def test_gateway_registers_and_calls_pass_in_both_directions(
    models: tuple[Organisation, Organisation], tmp_path: Path, algorithm: str
) -> None:
    """Early media, hold, a keypress, a withheld number and BYE from each side; a transfer. No phone sees a challenge."""
    account = DigestAccount(algorithm=algorithm)
    async with running(models, tmp_path, account, account.password) as (network, provider, world):
        await until(lambda: f"registered {account.user}" in provider.log)
        alice = await network.phone("alice", FE1)
        await calls_out(alice, world)
        await calls_in(world, alice)
        assert f"accepted INVITE {OUTSIDE} by {account.user}" in provider.log


async def calls_out(alice: Peer, world: Peer) -> None:
    """Two calls of alice, who holds, presses a key, transfers and ends them; of the other one, the number is withheld."""
    for headers in ([], [("privacy", "id")]):
        sender = f"<sip:alice@{EXAMPLE}>;tag={alice.tag}"
        invite = alice.request("INVITE", f"tel:{OUTSIDE}", [*OFFER, *headers], SDES, sender=sender)
        await alice.send(invite)
        came = await world.request_in("INVITE")
        assert came.from_.uri.startswith("sip:anonymous@" if headers else f"sip:{ALICE}@")
        assert came.values("proxy-authorization") == []
        await world.reply(came, 183, OFFER, SDES)
        early = await alice.receive()
        while getattr(early, "status", 0) == 100:
            early = await alice.receive()
        assert (getattr(early, "status", 0), early.body) == (183, SDES)
        await world.reply(came, 200, OFFER, SDES)
        dialog = Dialog.of_caller(invite, await alice.final())
        await alice.send(inside_of(dialog, alice, "ACK"))
        await world.request_in("ACK")
        await passes(alice, world, dialog, "INFO")
        await holds(alice, world, dialog)
        await transfers(alice, world, dialog)
        await passes(alice, world, dialog, "BYE")


async def calls_in(world: Peer, alice: Peer) -> None:
    """Two calls of the telephone world, which holds, presses a key and ends them; of the other one, the number is withheld."""
    asserts = [("p-asserted-identity", f"<sip:{OUTSIDE}@{PROVIDER}>"), ("privacy", "id")]
    for headers in ([], asserts):
        shown = "sip:anonymous@anonymous.invalid" if headers else f"sip:{OUTSIDE}@{PROVIDER}"
        sender = f"<{shown}>;tag={world.tag}"
        invite = world.request("INVITE", f"sip:{ALICE}@{PROVIDER}", [*OFFER, *headers], SDES, sender=sender)
        await world.send(invite)
        came = await alice.request_in("INVITE")
        assert came.from_.uri == shown
        assert OUTSIDE.encode() not in b"".join(came.lines) or not headers
        await alice.reply(came, 183, OFFER, SDES)
        early = await world.receive()
        while getattr(early, "status", 0) == 100:
            early = await world.receive()
        assert (getattr(early, "status", 0), early.body) == (183, SDES)
        await alice.reply(came, 200, OFFER, SDES)
        dialog = Dialog.of_caller(invite, await world.final())
        await world.send(inside_of(dialog, world, "ACK"))
        await alice.request_in("ACK")
        await passes(world, alice, dialog, "INFO")
        await holds(world, alice, dialog)
        await passes(world, alice, dialog, "BYE")


async def passes(sender: Peer, receiver: Peer, dialog: Dialog, method: str) -> None:
    """A request inside the call, and its answer."""
    await sender.send(inside_of(dialog, sender, method))
    await receiver.reply(await receiver.request_in(method), 200)
    assert (await sender.final(method=method)).status == 200


async def holds(sender: Peer, receiver: Peer, dialog: Dialog) -> None:
    """A re-INVITE that puts the other side on hold."""
    hold = inside_of(dialog, sender, "INVITE")
    hold.append("content-type", SDP)
    hold.body = SDES + b"a=sendonly\r\n"
    hold.replace("content-length", str(len(hold.body)))
    await sender.send(hold)
    came = await receiver.request_in("INVITE")
    assert b"sendonly" in came.body
    await receiver.reply(came, 200, OFFER, SDES)
    assert (await sender.final(method="INVITE")).status == 200
    await sender.send(inside_of(dialog, sender, "ACK"))
    await receiver.request_in("ACK")


async def transfers(sender: Peer, receiver: Peer, dialog: Dialog) -> None:
    """A REFER to another number of the provider."""
    refer = inside_of(dialog, sender, "REFER")
    refer.append("refer-to", f"<sip:{OUTSIDE}@{PROVIDER}>")
    await sender.send(refer)
    came = await receiver.request_in("REFER")
    assert came.values("refer-to") == [f"<sip:{OUTSIDE}@{PROVIDER}>"]
    await receiver.reply(came, 202)
    assert (await sender.final(method="REFER")).status == 202


@on_loop
async def test_wrong_password_is_tried_once_and_said(models: tuple[Organisation, Organisation], tmp_path: Path) -> None:
    """The phone gets 502. Kamailio hears one answer to each challenge."""
    account = DigestAccount()
    async with running(models, tmp_path, account, "of another account") as (network, provider, _):
        known: Any = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER]
        await until(lambda: known.register_at > asyncio.get_running_loop().time())
        alice = await network.phone("alice", FE1)
        await alice.send(alice.request("INVITE", f"tel:{OUTSIDE}", OFFER, SDES, sender=f"<sip:alice@{EXAMPLE}>;tag=1"))
        assert (await alice.final()).status == 502
        assert provider.log.count("came INVITE") == 2
        assert f"registered {account.user}" not in provider.log
        assert network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER].registered_on == 0


@on_loop
async def test_kamailio_answers_options_of_the_gateway(
    models: tuple[Organisation, Organisation], tmp_path: Path
) -> None:
    account = DigestAccount()
    async with running(models, tmp_path, account, account.password) as (network, provider, _):
        known = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER]
        known.ping_at = 0.0
        network.nodes[GATEWAY].sweep.tick()
        await until(lambda: "came OPTIONS" in provider.log and not known.pings)
        assert network.nodes[GATEWAY].core.state.trunk_outages.last(("other.test", PROVIDER)) == [
            "other.test",
            PROVIDER,
        ]
