"""Asterisk 22 as a trunk by mutual TLS, and as a provider at which the gateway logs in by digest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from interop.asterisk import BY_CERTIFICATE, BY_DIGEST, Asterisk
from interop.baresip import Baresip
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.sip.digest import Algorithm
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP
from support.digest_provider import DigestAccount
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop, until
from support.talking import inside_of
from support.trunks import (
    ALICE,
    BOB,
    GATEWAY,
    GATEWAYS,
    OF_PBX,
    PBX,
    PROVIDER,
    PlayedTrunk,
    build_gateway,
    build_trunk,
    join_trunks,
)

pytestmark = [pytest.mark.peer("asterisk"), pytest.mark.wide]

OFFER = [("content-type", SDP)]
ACCOUNT = DigestAccount(user="4989123400")
BACK_S = 60.0
LOOK_AGAIN_S = 0.25
JOINED = " joined 'simple_bridge'"
BOTH = 2
MAIN = "+493012300"
ECHO, BUSY, EARLY, DIGITS, HANGS, BRIDGED = (f"+49891234{n}" for n in (10, 11, 12, 13, 14, 15))


@pytest.fixture(name="models", scope="module")
def _models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Organisation, Organisation]:
    folder = tmp_path_factory.mktemp("a")
    example = build_gateway(folder / "example")
    example.add_users("dora", algorithms=(Algorithm.MD5,))
    return example, build_trunk(folder / "pbx", PBX)


@asynccontextmanager
async def running(
    models: tuple[Organisation, Organisation],
    folder: Path,
    *,
    algorithm: str = "",
    others: Sequence[tuple[PlayedTrunk, dict[str, Any]]] = (),
) -> AsyncIterator[tuple[Network, Asterisk, Peer]]:
    """The network with alice, and Asterisk as its trunk: by certificate, or by digest with *algorithm*."""
    example, of_pbx = models
    port, rtp = free_port(), free_port()
    keys: dict[str, Any] = {"asserts": ["+4989"], "carries": ["+4989"], "channels": 4, "ping": 5, "main_number": MAIN}
    chain, key = of_pbx.credentials(PBX)
    gateway_port = example.ports[GATEWAY][LinkKind.PARTNER]
    settings: dict[str, Any] = {
        "name": PBX, "chain": chain, "key": key, "anchor": example.root, "caller": OF_PBX, "rtp": rtp, "rtp_end": rtp + 40,
        "gateway_name": GATEWAYS, "gateway_port": gateway_port, "endpoint": "", "verify": "yes", "aor": "sipmesh",
    }  # fmt: skip
    settings["more"] = BY_CERTIFICATE.format(**settings)
    if algorithm:
        keys["login"] = {
            "user": ACCOUNT.user,
            "realm": ACCOUNT.realm,
            "secret_file": "secrets/p",
            "algorithm": algorithm,
        }
        secret = example.folder / "secrets" / "p"
        secret.parent.mkdir(exist_ok=True)
        secret.write_text(ACCOUNT.password)
        secret.chmod(0o600)
        auth, _, more = BY_DIGEST.format(**vars(ACCOUNT) | {"algorithm": algorithm}).partition("[")
        settings |= {"verify": "no", "endpoint": auth, "aor": ACCOUNT.user, "more": f"[{more}"}
    join_trunks(example, (PlayedTrunk(PBX, of_pbx, port=port), keys), *others)
    network = Network((example,), starts=(FE1, GATEWAY))
    async with Asterisk(folder / "asterisk", port, **settings) as asterisk, network:
        network.nodes[GATEWAY].sweep.tick()
        yield network, asterisk, await network.phone("alice", FE1)


def invite_of(alice: Peer, number: str, *headers: tuple[str, str]) -> Request:
    return alice.request(
        "INVITE", f"tel:{number}", [*OFFER, *headers], SDES, sender=f"<sip:alice@{EXAMPLE}>;tag={alice.tag}"
    )


async def answered(alice: Peer, invite: Request) -> Dialog:
    """Bring a call to Asterisk up."""
    await alice.send(invite)
    final = await alice.final()
    assert final.status == 200, final
    dialog = Dialog.of_caller(invite, final)
    await alice.send(inside_of(dialog, alice, "ACK"))
    return dialog


async def ends(alice: Peer, dialog: Dialog) -> None:
    """End a call; what comes meanwhile is answered."""
    await alice.send(inside_of(dialog, alice, "BYE"))
    while not isinstance(came := await alice.receive(), Response) or came.cseq.method != "BYE":
        if not isinstance(came, Response):  # Asterisk repeats its 2xx until the ACK has come
            await alice.reply(came, 200)
    assert came.status == 200


async def calls_again(alice: Peer) -> None:
    """Call until a call comes up, as a user does; within a minute."""
    async with asyncio.timeout(BACK_S):
        await alice.send(invite := invite_of(alice, ECHO))
        while (final := await alice.final(method="INVITE")).status != 200:
            await asyncio.sleep(0.5)
            await alice.send(invite := invite_of(alice, ECHO))
    dialog = Dialog.of_caller(invite, final)
    await alice.send(inside_of(dialog, alice, "ACK"))
    await ends(alice, dialog)


def revoke(network: Network, of_pbx: Organisation) -> None:
    """Revoke the certificate of Asterisk."""
    found = x509.load_pem_x509_certificates(of_pbx.credentials(PBX)[0].read_bytes())[0]
    issuer = of_pbx.ca.issuing.subject.public_bytes()
    network.nodes[GATEWAY].revocation.revoke([(issuer, found.serial_number)])


async def operations_out(alice: Peer, asterisk: Asterisk) -> None:
    """What a user does with calls to Asterisk: call, hold, DTMF by INFO, withheld, busy, early media, a BYE of the other side."""
    dialog = await answered(alice, invite_of(alice, ECHO))
    await asterisk.logged(f"CAME {ALICE} ")
    assert await held(alice, dialog) == 200
    await ends(alice, dialog)
    dialog = await answered(alice, invite_of(alice, ECHO, ("privacy", "id")))
    await asterisk.logged("PRES prohib")
    await ends(alice, dialog)
    await alice.send(invite_of(alice, BUSY))
    assert (await alice.final()).status == 486
    await alice.send(invite := invite_of(alice, EARLY))
    while (early := await alice.receive()) and getattr(early, "status", 0) in {100, 180}:
        pass
    assert (getattr(early, "status", 0), b"m=audio" in early.body) == (183, True)
    dialog = Dialog.of_caller(invite, await alice.final())
    await alice.send(inside_of(dialog, alice, "ACK"))
    await ends(alice, dialog)
    await sends_digits(alice, asterisk)
    await transfers(alice, asterisk)
    await transfers_attended(alice, asterisk)
    dialog = await answered(alice, invite_of(alice, HANGS))
    bye = await alice.request_in("BYE")
    await alice.reply(bye, 200)


async def sends_digits(alice: Peer, asterisk: Asterisk) -> None:
    """Keypresses by INFO."""
    dialog = await answered(alice, invite_of(alice, DIGITS))
    for digit in "5678":
        info = inside_of(dialog, alice, "INFO")
        info.append("content-type", "application/dtmf-relay")
        info.body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        info.replace("content-length", str(len(info.body)))
        await alice.send(info)
        assert (await alice.final(method="INFO")).status == 200
    await asterisk.logged("DIGITS 5678")
    await alice.reply(await alice.request_in("BYE"), 200)


async def transfers(alice: Peer, asterisk: Asterisk) -> None:
    """A REFER of alice: Asterisk connects the other side with another of its numbers."""
    joined = asterisk.log.count(JOINED)
    dialog = await answered(alice, invite_of(alice, BRIDGED))
    await until(lambda: asterisk.log.count(JOINED) >= joined + BOTH)  # Asterisk transfers no other channel
    before = asterisk.log.count(f"TO {ECHO}")
    refer = inside_of(dialog, alice, "REFER")
    refer.append("refer-to", f"<sip:{ECHO}@{PBX}>")
    await alice.send(refer)
    assert (await alice.final(method="REFER")).status == 202
    await until(lambda: asterisk.log.count(f"TO {ECHO}") > before)
    await ends(alice, dialog)


async def transfers_attended(alice: Peer, asterisk: Asterisk) -> None:
    """Two calls of alice, and a REFER with Replaces: Asterisk connects their other sides, and ends the second."""
    joined = asterisk.log.count(JOINED)
    first = await answered(alice, invite_of(alice, BRIDGED))
    await until(lambda: asterisk.log.count(JOINED) >= joined + BOTH)
    second = await answered(alice, invite_of(alice, BRIDGED))
    await until(lambda: asterisk.log.count(JOINED) >= joined + 2 * BOTH)
    ours, theirs = (NameAddr.parse(side).tag for side in (second.local, second.remote))
    refer = inside_of(first, alice, "REFER")
    refer.append("refer-to", f"<sip:{BRIDGED}@{PBX}?Replaces={second.call_id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{ours}>")
    await alice.send(refer)
    ended, told = "", b""
    while not (ended and b"SIP/2.0 200" in told):
        if isinstance(came := await alice.receive(), Response):
            assert (came.cseq.method, came.status) == ("REFER", 202)
            continue
        await alice.reply(came, 200)
        if came.method == "NOTIFY":
            told += came.body
        else:
            ended = came.call_id
    assert ended == second.call_id
    await ends(alice, first)


async def operations_in(alice: Peer, asterisk: Asterisk) -> None:
    """What a user does with a call of Asterisk: early media, hold, DTMF by INFO, transfer."""
    joined = asterisk.log.count(JOINED)
    await asterisk.calls(ALICE)
    came = await alice.request_in("INVITE")
    await alice.reply(came, 183, OFFER, SDES)
    await asterisk.logged("is making progress")
    await alice.reply(came, 200, OFFER, SDES)
    assert (await alice.request_in("ACK")).method == "ACK"
    dialog = Dialog.of_callee(came, alice.tag)
    await until(lambda: asterisk.log.count(JOINED) >= joined + BOTH)
    assert await held(alice, dialog) == 200
    info = inside_of(dialog, alice, "INFO")
    info.append("content-type", "application/dtmf-relay")
    info.body = b"Signal=7\r\nDuration=160\r\n"
    info.replace("content-length", str(len(info.body)))
    await alice.send(info)
    assert (await alice.final(method="INFO")).status == 200
    await asterisk.logged("DTMF end '7' received on PJSIP")
    before = asterisk.log.count(f"TO {ECHO}")
    refer = inside_of(dialog, alice, "REFER")
    refer.append("refer-to", f"<sip:{ECHO}@{PBX}>")
    await alice.send(refer)
    assert (await alice.final(method="REFER")).status == 202
    await until(lambda: asterisk.log.count(f"TO {ECHO}") > before)
    await ends(alice, dialog)


async def held(alice: Peer, dialog: Dialog) -> int:
    """Hold a call: the status of the answer, which only receives."""
    hold = inside_of(dialog, alice, "INVITE")
    hold.append("content-type", SDP)
    hold.body = SDES + b"a=sendonly\r\n"
    hold.replace("content-length", str(len(hold.body)))
    await alice.send(hold)
    answer = await alice.final(method="INVITE")
    assert b"recvonly" in answer.body
    await alice.send(inside_of(dialog, alice, "ACK"))
    return answer.status


async def is_called(alice: Peer, asterisk: Asterisk, dialled: str) -> Request:
    """Have Asterisk call alice, who answers and hangs up; give the INVITE."""
    await asterisk.calls(dialled)
    came = await alice.request_in("INVITE")
    await alice.reply(came, 180)
    await alice.reply(came, 200, OFFER, SDES)
    assert (await alice.request_in("ACK")).method == "ACK"
    await alice.send(inside_of(Dialog.of_callee(came, alice.tag), alice, "BYE"))
    assert (await alice.final(method="BYE")).status == 200
    return came


@on_loop
async def test_asterisk_by_mutual_tls_calls_and_is_called(
    models: tuple[Organisation, Organisation], tmp_path: Path
) -> None:
    """The gateway answers its OPTIONS; each call shows the number that counts; a foreign number gets 403."""
    async with running(models, tmp_path) as (_, asterisk, alice):
        await asterisk.logged(f"Contact sipmesh/sip:{GATEWAYS}")
        await operations_out(alice, asterisk)
        await operations_in(alice, asterisk)
        assert (await is_called(alice, asterisk, ALICE)).from_.uri == f"sip:{OF_PBX}@{PBX}"
        withheld = await is_called(alice, asterisk, f"*67{ALICE}")
        assert withheld.from_.uri == "sip:anonymous@anonymous.invalid"
        assert OF_PBX.encode() not in b"".join(withheld.lines)
        await asterisk.calls(f"*99{ALICE}")
        await asterisk.logged("FOREIGN ")
        await alice.silent()
        assert "is now Reachable" in asterisk.log


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@on_loop
async def test_gateway_logs_in_at_asterisk_by_digest(
    models: tuple[Organisation, Organisation], tmp_path: Path, algorithm: str
) -> None:
    """It registers, so that Asterisk calls it on the link that the gateway has opened; no phone sees a challenge."""
    async with running(models, tmp_path, algorithm=algorithm) as (network, asterisk, alice):
        known = network.nodes[GATEWAY].trunk_watch.trunks[PBX]
        await until(lambda: known.registered_on)
        await operations_out(alice, asterisk)
        await operations_in(alice, asterisk)
        assert (await is_called(alice, asterisk, ALICE)).from_.uri == f"sip:{OF_PBX}@{PBX}"


@pytest.mark.peer("baresip")
@on_loop
async def test_phone_presses_keys_in_its_audio(models: tuple[Organisation, Organisation], tmp_path: Path) -> None:
    """Events of RFC 4733, in the SRTP between a real phone and Asterisk."""
    async with running(models, tmp_path) as (network, asterisk, _):
        network.dns.records[FE1, "A"] = ["127.0.0.1"]
        phone = Baresip(
            *(tmp_path / "dora", "dora", "dora-secret", EXAMPLE, f"{FE1}:{network.address(FE1, LinkKind.CLIENT)[1]}"),
            anchor=models[0].root,
            dns=network.dns.setting,
            records=False,
            talks=True,
            keys="rtpevent",
        )
        async with phone:
            await phone.registered()
            await phone.command("dial", f"sip:{DIGITS}@{EXAMPLE}")
            await phone.event("CALL_ESTABLISHED")
            for key in "5678":
                await phone.command("sndcode", key)
                await asterisk.logged(f"DTMF end '{key}' received on PJSIP")
            await asterisk.logged("DIGITS 5678")
            await phone.event("CALL_CLOSED")
        assert "application/dtmf-relay" not in phone.log


@on_loop
async def test_caller_of_asterisk_is_transferred_to_a_colleague(
    models: tuple[Organisation, Organisation], tmp_path: Path
) -> None:
    """A REFER of alice: Asterisk calls bob through the gateway, with its own number, and connects him with its caller."""
    async with running(models, tmp_path) as (network, asterisk, alice):
        bob = await network.phone("bob", FE1)
        await asterisk.logged("is now Reachable")
        joined = asterisk.log.count(JOINED)
        await asterisk.calls(ALICE)
        came = await alice.request_in("INVITE")
        await alice.reply(came, 200, OFFER, SDES)
        await alice.request_in("ACK")
        dialog = Dialog.of_callee(came, alice.tag)
        await until(lambda: asterisk.log.count(JOINED) >= joined + BOTH)
        refer = inside_of(dialog, alice, "REFER")
        refer.append("refer-to", f"<sip:{BOB}@{PBX}>")
        await alice.send(refer)
        rings = await bob.request_in("INVITE")
        assert rings.from_.uri == f"sip:{OF_PBX}@{PBX}"
        await bob.reply(rings, 200, OFFER, SDES)
        await bob.request_in("ACK")
        await bob.send(inside_of(Dialog.of_callee(rings, bob.tag), bob, "BYE"))
        assert (await bob.final(method="BYE")).status == 200


@on_loop
async def test_asterisk_that_is_restarted_is_called_again(
    models: tuple[Organisation, Organisation], tmp_path: Path
) -> None:
    async with running(models, tmp_path) as (_, asterisk, alice):
        await ends(alice, await answered(alice, invite_of(alice, ECHO)))
        await asterisk.__aexit__(None, None, None)
        await alice.send(invite_of(alice, ECHO))
        assert (await alice.final()).status >= 480
        await asterisk.restarts()
        await calls_again(alice)


@on_loop
async def test_gateway_pings_asterisk_and_calls_another_trunk_while_it_is_away(
    models: tuple[Organisation, Organisation], tmp_path: Path, provider: PlayedTrunk
) -> None:
    """Also a call to a number of Asterisk, which the provider carries too. Asterisk is tried first again when it is back."""
    async with (
        provider,
        running(models, tmp_path, others=((provider, {"carries": ["+"]}),)) as (network, asterisk, alice),
    ):
        known = network.nodes[GATEWAY].trunk_watch.trunks[PBX]
        first = known.ping_at
        while known.ping_at == first or known.pings:
            network.nodes[GATEWAY].sweep.tick()
            await asyncio.sleep(LOOK_AGAIN_S)
        assert network.nodes[GATEWAY].core.state.trunk_outages.last((PBX, PROVIDER)) == [PBX, PROVIDER]
        await ends(alice, await answered(alice, invite_of(alice, ECHO)))
        await asterisk.__aexit__(None, None, None)
        await alice.send(invite_of(alice, ECHO))
        other = await provider.links.get()
        came = await other.request_in("INVITE")
        assert came.ruri.user == ECHO
        await other.reply(came, 486)
        assert (await alice.final(method="INVITE")).status == 486


@on_loop
async def test_asterisk_is_revoked_in_a_call_and_calls_again_when_it_is_renewed(
    models: tuple[Organisation, Organisation], tmp_path: Path
) -> None:
    """The phone gets a BYE; until the new certificate, no call passes in either direction."""
    async with running(models, tmp_path) as (network, asterisk, alice):
        await asterisk.logged("is now Reachable")
        await answered(alice, invite_of(alice, ECHO))
        revoke(network, models[1])
        await alice.reply(await alice.request_in("BYE"), 200)
        await alice.send(invite_of(alice, ECHO))
        assert (await alice.final(method="INVITE")).status == 500
        await asterisk.calls(ALICE)
        await asterisk.logged("ENDED ")  # a call that Asterisk still tries would use the new certificate
        await alice.silent()
        models[1].issue(PBX)
        await asterisk.restarts()
        await calls_again(alice)
        assert (await is_called(alice, asterisk, ALICE)).from_.uri == f"sip:{OF_PBX}@{PBX}"
